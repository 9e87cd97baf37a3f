//! Fonts that come with the program, so that Chinese shows on a machine that has none. What they lack, the system's
//! fonts give (eframe's `system_fonts`).

use std::sync::Arc;

use egui::{Context, FontData, FontDefinitions, FontFamily};

const INTER: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.ttf");
const INTER_SEMIBOLD: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.ttf");
const NOTO_SANS_SC: &[u8] = include_bytes!("../../../assets/fonts/NotoSansSC-Subset.otf");
const JETBRAINS_MONO: &[u8] = include_bytes!("../../../assets/fonts/JetBrainsMono-Regular.ttf");

/// The family of headings and numbers that matter.
pub fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

pub fn install(ctx: &Context) {
    ctx.set_fonts(definitions());
}

fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let sources = [
        ("inter", INTER),
        ("inter-semibold", INTER_SEMIBOLD),
        ("noto-sans-sc", NOTO_SANS_SC),
        ("mono", JETBRAINS_MONO),
    ];
    for (name, bytes) in sources {
        fonts.font_data.insert(name.into(), Arc::new(FontData::from_static(bytes)));
    }
    // egui's own come last: they have symbols and emoji that these lack.
    let mut family = |family: FontFamily, first: &[&str], like: &FontFamily| {
        let mut names: Vec<String> = first.iter().map(|name| (*name).to_owned()).collect();
        names.extend(fonts.families.get(like).into_iter().flatten().cloned());
        names.dedup();
        fonts.families.insert(family, names);
    };
    let proportional = FontFamily::Proportional;
    family(semibold(), &["inter-semibold", "noto-sans-sc", "mono"], &proportional);
    family(proportional.clone(), &["inter", "noto-sans-sc", "mono"], &proportional);
    family(FontFamily::Monospace, &["mono", "noto-sans-sc", "inter"], &FontFamily::Monospace);
    fonts
}
