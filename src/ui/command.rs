//! Everything that can be done from anywhere: one table for the palette, the shortcuts and the help.

use egui::{Key, KeyboardShortcut, Modifiers};
use protocol::Text;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UiCommand {
    Palette,
    NewProject,
    OpenProject,
    SaveProject,
    SaveProjectAs,
    OpenModel,
    AddData,
    StartRun,
    PauseOrResume,
    StopRun,
    SaveNow,
    EvaluateNow,
    Undo,
    Redo,
    ToggleTheme,
    ToggleLanguage,
    ToggleSummary,
    ResetLayout,
    SplitChat,
    ZoomIn,
    ZoomOut,
    ZoomReset,
    RestartEngine,
    FrameTimes,
    Quit,
}

pub struct CommandInfo {
    pub command: UiCommand,
    pub text: Text,
    pub shortcut: Option<KeyboardShortcut>,
}

const fn info(command: UiCommand, en: &'static str, zh: &'static str) -> CommandInfo {
    CommandInfo { command, text: Text::fixed(en, zh), shortcut: None }
}

impl CommandInfo {
    /// With Ctrl, or ⌘ on a Mac.
    const fn key(mut self, key: Key) -> Self {
        self.shortcut = Some(KeyboardShortcut::new(Modifiers::COMMAND, key));
        self
    }

    const fn shift_key(mut self, key: Key) -> Self {
        self.shortcut = Some(KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key));
        self
    }
}

use UiCommand as C;

pub const COMMANDS: &[CommandInfo] = &[
    info(C::Palette, "Command palette", "命令面板").key(Key::P),
    info(C::NewProject, "New project", "新建项目").key(Key::N),
    info(C::OpenProject, "Open project…", "打开项目…").key(Key::O),
    info(C::SaveProject, "Save project", "保存项目").key(Key::S),
    info(C::SaveProjectAs, "Save project as…", "项目另存为…").shift_key(Key::S),
    info(C::OpenModel, "Choose a model folder…", "选择模型文件夹…").key(Key::M),
    info(C::AddData, "Add data files…", "添加数据文件…").key(Key::D),
    info(C::StartRun, "Start training", "开始训练").key(Key::Enter),
    info(C::PauseOrResume, "Pause or resume", "暂停或继续").shift_key(Key::P),
    info(C::StopRun, "Stop and keep", "停止并保存"),
    info(C::SaveNow, "Save a checkpoint now", "立即保存检查点"),
    info(C::EvaluateNow, "Evaluate now", "立即评估").key(Key::E),
    info(C::Undo, "Undo", "撤销").key(Key::Z),
    info(C::Redo, "Redo", "重做").shift_key(Key::Z),
    info(C::ToggleTheme, "Dark or light", "深色或浅色"),
    info(C::ToggleLanguage, "中文 / English", "中文 / English").key(Key::L),
    info(C::ToggleSummary, "Fold or unfold the summary", "折叠或展开摘要").key(Key::B),
    info(C::SplitChat, "Chat beside the plots", "在图表旁打开对话"),
    info(C::ResetLayout, "Reset the layout", "重置布局"),
    info(C::ZoomIn, "Zoom in", "放大").key(Key::Plus),
    info(C::ZoomOut, "Zoom out", "缩小").key(Key::Minus),
    info(C::ZoomReset, "Reset the zoom", "重置缩放").key(Key::Num0),
    info(C::RestartEngine, "Restart the engine", "重启引擎"),
    info(C::FrameTimes, "Frame times", "帧耗时"),
    info(C::Quit, "Quit", "退出").key(Key::Q),
];

impl UiCommand {
    pub fn info(self) -> &'static CommandInfo {
        // The table has every command: a test below.
        COMMANDS.iter().find(|info| info.command == self).unwrap_or(&COMMANDS[0])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_shortcut_or_a_name() {
        let mut shortcuts = HashSet::new();
        let mut names = HashSet::new();
        for info in COMMANDS {
            assert!(
                names.insert(info.text.en.clone()) && names.insert(format!("zh {}", info.text.zh).into())
            );
            if let Some(shortcut) = info.shortcut {
                assert!(shortcuts.insert(shortcut), "{:?}", info.command);
            }
            assert_eq!(info.command.info().command, info.command);
        }
    }
}
