//! Words of the hand-off to other machines.

use super::words;

words! {
    HAND_OFF => "Hand off…", "移交集群…";
    HAND_OFF_HELP => "Write a folder with which this run is trained on other machines", "写出一个文件夹，在其他机器上进行此训练";
    TITLE => "Hand the run to other machines", "将训练移交到其他机器";
    HELP => "The data as tokens, the adapter as it begins, a script and its settings: what was previewed is what is trained there", "包含已转为词元的数据、初始适配器、脚本与设置：预览的内容就是在那里训练的内容";
    ENGINE => "Engine", "引擎";
    NODES => "Machines", "机器数";
    CARDS => "Cards each", "每台卡数";
    CARDS_HELP => "A step has as many rows as here, shared by all cards", "每步行数与本机相同，由所有卡分担";
    MODEL => "Base model there", "集群上的基础模型";
    MODEL_HELP => "A folder, or a name on the hub; empty: a folder of its own name beside the script", "文件夹或 Hub 名称；留空则为脚本旁的同名文件夹";
    COPY_MODEL => "Copy the base model into the folder", "将基础模型复制到该文件夹";
    FOLDER => "Folder", "文件夹";
    CHOOSE => "Choose…", "选择…";
    NO_FOLDER => "Choose where the folder is made", "请选择文件夹的位置";
    WRITE => "Write the folder", "写出文件夹";
    WRITING => "Writing…", "正在写出…";
    CLOSE => "Close", "关闭";
    OPEN_FOLDER => "Open the folder", "打开文件夹";
    COPY => "Copy", "复制";
    WATCH => "The run is in the list of Runs and shows how far it is, as soon as its folder is mounted or copied back", "该训练已加入历史列表；其文件夹挂载或同步回来后即可查看进度";
}
