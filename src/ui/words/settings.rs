//! Words of the Settings panel.

use super::words;

words! {
    APPEARANCE => "Language and looks", "语言与外观";
    LANGUAGE => "Language", "语言";
    SYSTEM => "System", "跟随系统";
    THEME => "Theme", "主题";
    DARK => "Dark", "深色";
    LIGHT => "Light", "浅色";
    ZOOM => "Zoom", "缩放";
    EXPERT => "Show all settings in the forms", "在表单中显示全部设置";
    EXPERT_HELP =>
        "Otherwise only the usual ones, and what is set otherwise than by default",
        "否则只显示常用设置以及与默认不同的设置";
    RUNS => "Runs", "训练记录";
    RUNS_DIR => "Runs folder", "记录文件夹";
    RUNS_DEFAULT => "the default folder", "默认文件夹";
    RUNS_HELP => "New runs are written here, and the history is read from here", "新的训练写入此处，历史记录也从此处读取";
    CHOOSE => "Choose…", "选择…";
    RESET => "Use the default", "使用默认";
    REVEAL => "Show in the file manager", "在文件管理器中显示";
    NOTIFY => "Notify when a run ends", "训练结束时通知";
    AWAKE => "Keep the machine awake while training", "训练时保持电脑唤醒";
    DEVICE => "Device", "设备";
    DEVICE_NAME => "Computes on", "计算设备";
    DEVICE_KIND => "Kind", "类型";
    DEVICE_MEMORY => "Memory", "内存";
    DEVICE_USED => "In use", "已使用";
    KIND_CPU => "CPU", "CPU";
    KIND_CUDA => "NVIDIA GPU (CUDA)", "NVIDIA 显卡（CUDA）";
    KIND_WGPU => "GPU (wgpu)", "显卡（wgpu）";
    ENGINE_STARTS => "The engine is starting…", "引擎正在启动…";
    ENGINE_ENDED => "The engine has ended", "引擎已退出";
    RESTART => "Restart the engine", "重启引擎";
    RESTART_HELP => "Looks for devices again; a run under way can be resumed from its last checkpoint", "重新检测设备；进行中的训练可从最近的检查点恢复";
    RESTART_ASK => "Restart the engine during a run?", "训练进行中，确定重启引擎？";
    RESTART_ASK_BODY => "The run ends where its last checkpoint is. It can be resumed from there.", "训练会停在最近的检查点，之后可以从那里恢复。";
    COPY_COMMAND => "Copy the command", "复制命令";
    SHORTCUTS => "Keyboard shortcuts", "键盘快捷键";
    PANELS => "Panels", "面板";
    COMMANDS => "Commands", "命令";
    PALETTE_HINT => "Every command is in the palette, too", "所有命令也都在命令面板中";
    ABOUT => "About", "关于";
    VERSION => "Version", "版本";
    LICENCE => "Licence", "许可证";
    ABOUT_LINE =>
        "A native workbench for fine-tuning language models on one's own machine",
        "在自己的电脑上微调语言模型的原生工作台";
    LICENCES => "Fonts and icons", "字体与图标";
    FONT_INTER => "Inter (SIL Open Font License 1.1)", "Inter（SIL 开放字体许可证 1.1）";
    FONT_MONO => "JetBrains Mono (SIL Open Font License 1.1)", "JetBrains Mono（SIL 开放字体许可证 1.1）";
    FONT_NOTO => "Noto Sans SC (SIL Open Font License 1.1)", "思源黑体 Noto Sans SC（SIL 开放字体许可证 1.1）";
    ICONS => "Lucide icons (ISC License)", "Lucide 图标（ISC 许可证）";
}
