//! Words of the hubs' sheets and settings.

use super::words;

words! {
    FROM_HUB => "From a hub…", "从平台获取…";
    FETCH_MODEL => "A model from a hub", "从平台获取模型";
    FETCH_DATA => "A dataset from a hub", "从平台获取数据集";
    FETCH_LINE => "Search, or paste a name or the address of its page", "搜索，或粘贴名称、网页地址";
    FETCH_HELP =>
        "Files, size, licence and whether it can be trained here are shown before anything large is fetched",
        "下载之前会先显示文件、大小、许可证以及能否在此训练";
    TEXT => "Name, address or words", "名称、网址或关键词";
    TEXT_HINT => "org/name, or words to search for", "org/name，或搜索关键词";
    FIND => "Find", "查找";
    ASKING => "Asking the hub…", "正在查询…";
    NOTHING => "Nothing of that name", "没有找到";
    DOWNLOADS => "downloads", "次下载";
    GATED => "gated", "需同意条款";
    GATED_LINE => "terms must be accepted on its page first", "需先在其页面上接受条款";
    ACCESS => "Access", "访问";
    BACK => "Back to the list", "返回列表";
    CLOSE => "Close", "关闭";
    LICENCE => "Licence", "许可证";
    UNKNOWN => "not named", "未注明";
    FAMILY => "Family", "模型家族";
    UNSUPPORTED => "not supported", "不支持";
    TOLD_LATER => "known when it is here", "下载后可知";
    IS_ADAPTER => "An adapter: it needs the model it was trained on", "这是适配器：需要其基础模型";
    SIZE => "Chosen files", "所选文件";
    FREE => "Free on the disk", "磁盘可用空间";
    FOLDER => "Folder", "文件夹";
    HERE => "here already", "已在本地";
    DOWNLOAD => "Download", "下载";
    OPEN => "Open", "打开";
    NO_ROOM => "The disk has no room for it", "磁盘空间不足";
    STOP => "Stop", "停止";
    GOES_ON => "Closing this sheet does not stop it. What has come is kept when it is stopped", "关闭此窗口不会停止下载；停止后已下载的部分会保留";
    PUBLISH => "Publish", "发布";
    PUBLISH_MORE => "Publish…", "发布…";
    REPOSITORY => "Repository", "仓库";
    REPOSITORY_HINT => "your-name/model-name", "用户名/模型名";
    PRIVATE => "Only I see it", "仅自己可见";
    CREATE => "Make the repository if there is none", "仓库不存在时新建";
    SHOW => "Show what would be sent", "查看将要发送的内容";
    SHOW_AGAIN => "Look again", "重新查看";
    PLANNING => "Reading the files and asking the hub…", "正在读取文件并查询…";
    STATE => "State", "状态";
    EXISTS => "is there already", "已存在";
    WILL_BE_MADE => "will be made", "将新建";
    VISIBILITY => "Who sees it", "可见性";
    SEEN_BY_OWNER => "only you", "仅自己";
    SEEN_BY_ALL => "everybody", "所有人";
    AS => "As", "账户";
    NEW => "new", "新增";
    CHANGED => "changed", "更改";
    SAME => "there already", "已有";
    SEND => "Send these files", "发送这些文件";
    NOTHING_SENT => "Nothing has been sent yet", "尚未发送任何内容";
    PUBLISHED => "Published; every file is there, by its hash", "已发布；所有文件均已按哈希核对";
    OPEN_PAGE => "Open its page", "打开页面";
    HUBS => "Hubs", "模型平台";
    OFFLINE => "Offline: use only what is here already", "离线：只使用本地已有的内容";
    ADDRESS => "Address", "地址";
    ADDRESS_DEFAULT => "Its own address, or HF_ENDPOINT", "使用默认地址或 HF_ENDPOINT";
    TOKEN => "Token", "令牌";
    TOKEN_NONE => "none", "无";
    TOKEN_MEMORY => "until the engine ends", "保留到引擎退出";
    TOKEN_KEYRING => "in the keyring", "在密钥环中";
    TOKEN_ENVIRONMENT => "from the environment", "来自环境变量";
    TOKEN_FILE => "of the hub's own tool", "来自平台自带工具";
    TOKEN_ENTER => "New token", "新令牌";
    TOKEN_HELP => "Goes to the system's keyring, never into a file", "保存到系统密钥环，不会写入文件";
    TOKEN_SESSION => "Do not keep it", "不保存";
    LOGIN => "Log in", "登录";
    LOGOUT => "Log out", "退出登录";
}
