//! Fields for numbers and texts that say what they hold and take what people type.

use std::ops::RangeInclusive;

use egui::{ComboBox, DragValue, Response, Slider, TextEdit, Ui, Vec2};

use super::number;

/// Width of a number's field.
const NUMBER_WIDTH: f32 = 84.0;

/// A whole number, dragged or typed; `suffix` is its unit. What is out of range already stays until somebody edits it.
pub fn integer(ui: &mut Ui, value: &mut u64, range: RangeInclusive<u64>, suffix: &str) -> Response {
    let speed = if *range.end() > 100 { 0.25 } else { 0.05 };
    let field = DragValue::new(value).range(range).speed(speed).suffix(suffix).min_size(field_size(ui));
    ui.add(field.update_while_editing(false).clamp_existing_to_range(false))
}

/// A number, dragged or typed, in the notation people use for small ones: `2e-4`.
pub fn real(ui: &mut Ui, value: &mut f64, range: RangeInclusive<f64>) -> Response {
    let (least, most) = (*range.start(), *range.end());
    // Numbers over many orders of magnitude move by their own size, others by a part of their range.
    let speed = if most > 1e3 * least.abs().max(1.0) || (least > 0.0 && most / least > 1e4) {
        (value.abs() * 0.01).max(1e-9)
    } else {
        (most - least) * 0.002
    };
    let field = DragValue::new(value)
        .range(range)
        .speed(speed)
        .min_size(field_size(ui))
        .update_while_editing(false)
        .clamp_existing_to_range(false)
        .max_decimals(12)
        .custom_formatter(|value, _| exact(value))
        .custom_parser(parse);
    ui.add(field)
}

/// The accessible name of a number's field that no label stands beside.
pub fn name_number(ui: &Ui, response: &Response, name: &str, value: f64) {
    response.widget_info(|| {
        let info = egui::WidgetInfo::drag_value(ui.is_enabled(), value);
        egui::WidgetInfo { label: Some(name.to_owned()), ..info }
    });
}

/// A small number over orders of magnitude: a slider for the order, a field for the figure. Answers for the field;
/// `name` is the slider's.
pub fn log_slider(ui: &mut Ui, value: &mut f64, range: RangeInclusive<f64>, name: &str) -> Response {
    ui.horizontal(|ui| {
        let mut slid = *value;
        let slider = Slider::new(&mut slid, range.clone()).logarithmic(true).show_value(false);
        let slider = slider.clamping(egui::SliderClamping::Never);
        ui.spacing_mut().slider_width = (ui.available_width() - NUMBER_WIDTH - 24.0).clamp(60.0, 260.0);
        let slider = ui.add(slider);
        slider.widget_info(|| egui::WidgetInfo::slider(ui.is_enabled(), *value, name));
        if slider.changed() {
            *value = rounded(slid);
        }
        let mut response = real(ui, value, f64::MIN_POSITIVE..=1.0);
        if slider.changed() {
            response.mark_changed();
        }
        (response, slider)
    })
    .inner
    .0
}

/// Two significant digits: what a slider can mean.
fn rounded(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// Every digit that the number has; small ones as people write them: `2e-4`.
pub fn exact(value: f64) -> String {
    if value == 0.0 || (0.01..1e7).contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") }
}

/// `2e-4`, `0.0002`, `1,5`.
fn parse(text: &str) -> Option<f64> {
    text.trim().replace([',', '，'], ".").parse().ok().filter(|number: &f64| number.is_finite())
}

fn field_size(ui: &Ui) -> Vec2 {
    Vec2::new(NUMBER_WIDTH, ui.spacing().interact_size.y)
}

/// A line of text.
pub fn text(ui: &mut Ui, salt: &str, value: &mut String, hint: &str, width: f32) -> Response {
    let edit = TextEdit::singleline(value).id_salt(salt).hint_text(hint).desired_width(width);
    ui.add(edit.margin(Vec2::new(8.0, 4.0)))
}

/// A text that stands for something else (a list, a table): what is typed is kept as typed while the field is used.
/// Returns the new text at every change.
pub fn draft(ui: &mut Ui, salt: &str, current: &str, hint: &str, width: f32) -> (Response, Option<String>) {
    let (response, typed) = typed(ui, salt, current, hint, width);
    let changed = response.changed().then_some(typed);
    (response, changed)
}

/// As [`draft`], but the new text comes once, when the field is left.
pub fn committed(ui: &mut Ui, salt: &str, current: &str, width: f32) -> (Response, Option<String>) {
    let (response, typed) = typed(ui, salt, current, "", width);
    let left = response.lost_focus() && typed != current;
    (response, left.then_some(typed))
}

fn typed(ui: &mut Ui, salt: &str, current: &str, hint: &str, width: f32) -> (Response, String) {
    let id = ui.make_persistent_id(("draft", salt));
    let kept = ui.data(|data| data.get_temp::<String>(id));
    let mut typed = kept.unwrap_or_else(|| current.to_owned());
    let response = text(ui, salt, &mut typed, hint, width);
    if response.has_focus() {
        ui.data_mut(|data| data.insert_temp(id, typed.clone()));
    } else {
        ui.data_mut(|data| data.remove::<String>(id));
    }
    (response, typed)
}

/// One of several, by id; each with a name and a line of help. A value that is none of them stays and is shown.
pub fn choice<'a>(
    ui: &mut Ui,
    salt: &str,
    current: &mut String,
    choices: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> Response {
    let choices: Vec<_> = choices.collect();
    let named = choices.iter().find(|(id, ..)| *id == current.as_str()).map(|(_, name, _)| *name);
    let shown = named.unwrap_or(current.as_str()).to_owned();
    let mut changed = false;
    let mut response = ComboBox::from_id_salt(salt)
        .selected_text(shown)
        .width((ui.available_width() - 18.0).clamp(60.0, 160.0))
        .show_ui(ui, |ui| {
            for (id, name, help) in choices {
                let entry = ui.selectable_label(current.as_str() == id, name);
                let entry = if help.is_empty() { entry } else { entry.on_hover_text(help) };
                if entry.clicked() && current.as_str() != id {
                    id.clone_into(current);
                    changed = true;
                }
            }
        })
        .response;
    if changed {
        response.mark_changed();
    }
    response
}

/// `×2.0`
pub fn factor(value: f64) -> String {
    format!("×{}", number::scientific((value * 100.0).round() / 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_every_digit_and_take_what_people_type() {
        assert_eq!(exact(2e-4), "2e-4");
        assert_eq!(exact(0.03), "0.03");
        assert_eq!(exact(1e-8), "1e-8");
        assert_eq!(exact(0.999), "0.999");
        assert_eq!(parse(" 1,5e-4 "), Some(1.5e-4));
        assert_eq!(parse("nan"), None);
        assert_eq!(rounded(1.2345e-4), 1.2e-4);
        assert_eq!(factor(2.0), "×2");
    }
}
