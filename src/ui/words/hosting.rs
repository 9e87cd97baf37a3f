//! Words about where the engine runs, and about folders of another machine.

use super::words;

words! {
    ENGINE => "Engine", "引擎";
    WHERE => "Where it runs", "运行位置";
    THREAD => "In this window", "在本窗口内";
    THREAD_HELP =>
        "Nothing else is started. A run ends with the window, and a fault of the device can take the window with it",
        "不启动其他进程。关闭窗口即结束训练；设备故障可能使窗口一起崩溃";
    PROCESS => "A process of its own", "独立进程";
    PROCESS_HELP =>
        "A run outlives the window. If the process dies, the window says so, starts it again and resumes from the last checkpoint",
        "关闭窗口后训练继续。若进程意外退出，窗口会提示、重新启动并从最近的检查点恢复";
    SSH => "Another machine, by ssh", "通过 ssh 使用另一台机器";
    SSH_HELP =>
        "The window here, the work there. Needs Emberwright on it and an ssh that asks nothing; no port is opened and no password kept. All files are that machine's",
        "窗口在本机，计算在另一台机器。对方需装有 Emberwright，且 ssh 无需输入即可登录；不开放端口，不保存密码。所有文件均在那台机器上";
    HOST => "Machine", "机器";
    HOST_HINT => "ada@gpu-server", "ada@gpu-server";
    HOST_HELP => "As after ssh: a name, user@name, or an entry of ~/.ssh/config (ports and keys go there)", "与 ssh 后的写法相同：主机名、用户@主机名，或 ~/.ssh/config 中的条目（端口和密钥写在其中）";
    PROGRAM => "Program there", "对方的程序";
    PROGRAM_HELP => "Empty: emberwright, as the shell there finds it", "留空：使用对方 shell 能找到的 emberwright";
    GO_OVER => "Use this engine", "使用此引擎";
    STATE => "Connection", "连接状态";
    CONNECTING => "Connecting…", "正在连接…";
    ATTACHED => "Connected", "已连接";
    ENDED => "No engine", "没有引擎";
    ASK => "A run is under way", "训练正在进行";
    ASK_THREAD => "It ends with the engine in this window: a checkpoint is saved first, and it can be resumed.", "训练随本窗口内的引擎一起结束：会先保存检查点，之后可恢复。";
    ASK_PROCESS => "It can go on where it is; coming back to that engine shows it again. Or it saves a checkpoint and stops.", "训练可以在原处继续，切换回该引擎即可再次看到；也可以保存检查点后停止。";
    KEEP => "Keep training there", "在原处继续训练";
    SAVE_AND_STOP => "Save and stop", "保存并停止";
    RESTARTED => "The engine has died and is started again", "引擎意外退出，正在重新启动";
    RESTARTED_OFTEN => "The engine has died again and again; it is not started any more by itself", "引擎多次意外退出，不再自动重启";
    NO_CHECKPOINT => "The run that was under way had no checkpoint yet: start it again", "进行中的训练尚无检查点：请重新开始";
    RUN_WAS_DONE => "The run that was under way had finished", "进行中的训练已完成";
    PLACES => "Places", "位置";
    UP => "The folder above", "上一级文件夹";
    PATH => "Folder", "文件夹";
    FILE_NAME => "File name", "文件名";
    CHOOSE_THIS_FOLDER => "Choose this folder", "选择此文件夹";
    CHOOSE => "Choose", "选择";
    SAVE_HERE => "Save here", "保存到此处";
    REPLACE => "Replace the file", "替换文件";
    ALL_FILES => "All files", "所有文件";
    HIDDEN => "Hidden", "隐藏项";
    EMPTY => "Nothing here", "此处为空";
    READING => "Reading the folder…", "正在读取文件夹…";
    MODEL_FOLDER => "model", "模型";
    ADAPTER_FOLDER => "adapter", "适配器";
    RUN_FOLDER => "run", "训练记录";
}
