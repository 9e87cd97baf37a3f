//! Icons: SVG files in one family, tinted like the text beside them.

use egui::{Color32, Image, ImageSource, Response, Ui, Vec2};

macro_rules! icons {
    ($($name:ident => $file:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Icon { $($name),* }

        impl Icon {
            fn source(self) -> ImageSource<'static> {
                match self {
                    $(Self::$name => ImageSource::Bytes {
                        uri: concat!("bytes://icons/", $file, ".svg").into(),
                        bytes: egui::load::Bytes::Static(
                            include_bytes!(concat!("../../../assets/icons/", $file, ".svg")),
                        ),
                    }),*
                }
            }
        }
    };
}

icons! {
    Emberwright => "emberwright",
    Model => "model",
    Data => "data",
    Method => "method",
    Train => "train",
    Chat => "chat",
    Export => "export",
    Runs => "runs",
    Settings => "settings",
    Play => "play",
    Pause => "pause",
    Stop => "stop",
    Save => "save",
    Folder => "folder",
    FolderOpen => "folder-open",
    File => "file",
    FilePlus => "file-plus",
    Plus => "plus",
    Minus => "minus",
    Close => "close",
    Check => "check",
    Warning => "warning",
    Error => "error",
    Info => "info",
    Search => "search",
    ChevronRight => "chevron-right",
    ChevronDown => "chevron-down",
    ChevronLeft => "chevron-left",
    ChevronUp => "chevron-up",
    ArrowRight => "arrow-right",
    ArrowLeft => "arrow-left",
    Sun => "sun",
    Moon => "moon",
    Language => "language",
    Cpu => "cpu",
    Gpu => "gpu",
    Memory => "memory",
    Clock => "clock",
    Refresh => "refresh",
    Trash => "trash",
    Copy => "copy",
    Edit => "edit",
    Undo => "undo",
    Redo => "redo",
    Download => "download",
    Upload => "upload",
    Eye => "eye",
    EyeOff => "eye-off",
    Filter => "filter",
    Sliders => "sliders",
    Chart => "chart",
    Compare => "compare",
    Send => "send",
    User => "user",
    Bot => "bot",
    Code => "code",
    Tree => "tree",
    Layers => "layers",
    Scissors => "scissors",
    ExternalLink => "external-link",
    Star => "star",
    Command => "command",
    More => "more",
    Layout => "layout",
    Tag => "tag",
    Thermometer => "thermometer",
    Power => "power",
    Bolt => "bolt",
    Lock => "lock",
    Best => "best",
    Flag => "flag",
    Table => "table",
    Gauge => "gauge",
    ArrowUp => "arrow-up",
    ArrowDown => "arrow-down",
}

impl Icon {
    /// Square, `size` points, in `colour`.
    pub fn image(self, size: f32, colour: Color32) -> Image<'static> {
        let image = Image::new(self.source()).fit_to_exact_size(Vec2::splat(size));
        // The program's own mark keeps its colours.
        if self == Self::Emberwright { image } else { image.tint(colour) }
    }

    /// Draws it among the widgets.
    pub fn ui(self, ui: &mut Ui, size: f32, colour: Color32) -> Response {
        ui.add(self.image(size, colour))
    }
}
