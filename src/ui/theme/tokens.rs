//! Roles, not colours: the one place where colours are made.

use egui::{Color32, Ui};
use protocol::TokenRole;

#[expect(clippy::disallowed_methods, reason = "the one place where colours are made")]
const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// What a colour is for.
#[derive(Debug)]
pub struct Tokens {
    pub dark: bool,
    /// The window's ground: navigation, top and bottom.
    pub ground: Color32,
    /// Panels, on the ground.
    pub panel: Color32,
    /// Cards, on panels.
    pub card: Color32,
    /// Fields one writes in.
    pub field: Color32,
    pub hover: Color32,
    pub pressed: Color32,
    pub line: Color32,
    pub text: Color32,
    pub text_strong: Color32,
    pub text_weak: Color32,
    pub text_faint: Color32,
    pub accent: Color32,
    pub accent_hover: Color32,
    /// A wash of the accent: what is selected.
    pub accent_wash: Color32,
    pub on_accent: Color32,
    /// The knob of a switch.
    pub knob: Color32,
    pub success: Color32,
    pub warning: Color32,
    pub error: Color32,
    pub info: Color32,
    pub success_wash: Color32,
    pub warning_wash: Color32,
    pub error_wash: Color32,
    /// Series of plots, told apart by people who see few colours.
    pub series: [Color32; 8],
    pub backdrop: Color32,
}

const DARK: Tokens = Tokens {
    dark: true,
    ground: rgb(0x14_15_18),
    panel: rgb(0x1A_1B_1F),
    card: rgb(0x22_24_29),
    field: rgb(0x13_14_17),
    hover: rgb(0x2C_2F_36),
    pressed: rgb(0x36_39_42),
    line: rgb(0x2E_31_38),
    text: rgb(0xD3_D6_DC),
    text_strong: rgb(0xF4_F5_F7),
    text_weak: rgb(0x98_9D_A8),
    text_faint: rgb(0x6B_70_7C),
    accent: rgb(0xE8_74_3B),
    accent_hover: rgb(0xF2_8A_54),
    accent_wash: rgb(0x3A_27_1E),
    on_accent: rgb(0x1B_0E_07),
    knob: rgb(0xF4_F5_F7),
    success: rgb(0x5F_BF_7F),
    warning: rgb(0xE5_B5_4D),
    error: rgb(0xEF_6B_6B),
    info: rgb(0x6C_A9_F0),
    success_wash: rgb(0x1E_31_26),
    warning_wash: rgb(0x36_2E_1C),
    error_wash: rgb(0x3B_21_23),
    series: [
        rgb(0xE8_74_3B),
        rgb(0x5A_9F_F0),
        rgb(0x5F_BF_7F),
        rgb(0xC7_8B_F2),
        rgb(0xE5_C0_4D),
        rgb(0x4F_C5_C9),
        rgb(0xF0_7F_AE),
        rgb(0x9A_A4_B2),
    ],
    backdrop: Color32::from_black_alpha(150),
};

const LIGHT: Tokens = Tokens {
    dark: false,
    ground: rgb(0xEE_EE_EC),
    panel: rgb(0xFA_FA_F9),
    card: rgb(0xFF_FF_FF),
    field: rgb(0xF1_F1_EF),
    hover: rgb(0xE7_E7_E4),
    pressed: rgb(0xDA_DA_D6),
    line: rgb(0xE0_E0_DC),
    text: rgb(0x33_36_3B),
    text_strong: rgb(0x14_16_19),
    text_weak: rgb(0x63_68_70),
    text_faint: rgb(0x8D_91_98),
    accent: rgb(0xC9_55_1D),
    accent_hover: rgb(0xB3_48_15),
    accent_wash: rgb(0xFB_E7_DB),
    on_accent: rgb(0xFF_FF_FF),
    knob: rgb(0xFF_FF_FF),
    success: rgb(0x25_83_47),
    warning: rgb(0x99_6A_00),
    error: rgb(0xC2_33_33),
    info: rgb(0x1F_6A_BD),
    success_wash: rgb(0xE2_F3_E7),
    warning_wash: rgb(0xFA_F0_D6),
    error_wash: rgb(0xFB_E4_E4),
    series: [
        rgb(0xC9_55_1D),
        rgb(0x1F_6A_BD),
        rgb(0x25_83_47),
        rgb(0x8A_44_C2),
        rgb(0xA6_7C_00),
        rgb(0x0E_83_88),
        rgb(0xC0_39_77),
        rgb(0x65_6D_78),
    ],
    backdrop: Color32::from_black_alpha(90),
};

impl Tokens {
    pub fn of(dark: bool) -> &'static Self {
        if dark { &DARK } else { &LIGHT }
    }

    /// The colour of a token's role; what bears no loss is drawn fainter by the caller.
    pub fn role(&self, role: TokenRole) -> Color32 {
        match role {
            TokenRole::Template => self.series[7],
            TokenRole::System => self.series[3],
            TokenRole::User => self.series[1],
            TokenRole::Assistant => self.series[0],
            TokenRole::Tool => self.series[5],
            TokenRole::Text => self.series[2],
        }
    }

    /// From nothing (0) to the hottest (1): what is harder is both redder and stronger.
    pub fn heat(&self, part: f32) -> Color32 {
        let part = part.clamp(0.0, 1.0);
        self.accent.lerp_to_gamma(self.error, part).gamma_multiply(0.05 + 0.7 * part)
    }

    /// A colour laid thinly over a ground.
    pub fn wash(colour: Color32, strength: f32) -> Color32 {
        colour.gamma_multiply(strength)
    }
}

/// `ui.tokens()`.
pub trait UiTokens {
    fn tokens(&self) -> &'static Tokens;
}

impl UiTokens for Ui {
    fn tokens(&self) -> &'static Tokens {
        Tokens::of(self.visuals().dark_mode)
    }
}

impl UiTokens for egui::Context {
    fn tokens(&self) -> &'static Tokens {
        Tokens::of(self.theme() == egui::Theme::Dark)
    }
}
