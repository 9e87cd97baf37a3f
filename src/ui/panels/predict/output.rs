//! Where the answers go, and in which columns.

use egui::{Align, ComboBox, Label, Layout, RichText, Ui, WidgetInfo};
use protocol::OutputColumn;

use super::form::columns;
use crate::action::Action;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::predict::{ANSWER, PredictChoices, output_columns};
use crate::theme::UiTokens;
use crate::widgets::button::icon_button_enabled;
use crate::widgets::column_map::{expression_of, is_expression};
use crate::widgets::{Icon, button, input, section};
use crate::words::predict as words;

/// Width of a column's name.
const NAME: f32 = 104.0;
/// Room of the buttons that move and remove a column.
const BUTTONS: f32 = 100.0;

/// What is done with a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Move {
    Up,
    Down,
    Out,
}

pub(super) fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &mut PredictChoices) {
    section(ui, ctx.t(&words::OUTPUT));
    place(ui, ctx, choices);
    let before = output_columns(&ctx.state.predict);
    let mut wanted = before.clone();
    let mut moved = None;
    for (index, column) in wanted.iter_mut().enumerate() {
        if let Some(how) = line(ui, ctx, index, column, before.len()) {
            moved = Some((index, how));
        }
    }
    if let Some((index, how)) = moved {
        apply(&mut wanted, index, how);
    }
    ui.horizontal(|ui| {
        if button(ui, Some(Icon::Plus), ctx.t(&words::ADD_COLUMN)).clicked() {
            wanted.push(another(&wanted, columns(ctx)));
        }
        let all = !choices.output_columns.is_empty();
        if all && button(ui, Some(Icon::Undo), ctx.t(&words::ALL_COLUMNS)).clicked() {
            choices.output_columns.clear();
            wanted.clone_from(&before);
        }
    });
    if wanted != before {
        choices.output_columns = wanted;
    }
}

fn place(ui: &mut Ui, ctx: &PanelCtx<'_>, choices: &PredictChoices) {
    let tokens = ui.tokens();
    let path = choices.output();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let change = button(ui, Some(Icon::Save), ctx.t(&words::CHANGE));
            if change.on_hover_text(ctx.t(&words::OUTPUT_HELP)).clicked() {
                let purpose = Purpose::PredictOutput;
                ctx.push(Action::Desktop(DesktopRequest::PickSave { purpose, suggested: name.clone() }));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let label = Label::new(RichText::new(&name).color(tokens.text)).truncate();
                ui.add(label).on_hover_text(path.display().to_string());
            });
        });
    });
}

/// A column: its name, what is in it, and where it stands.
fn line(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    index: usize,
    column: &mut OutputColumn,
    all: usize,
) -> Option<Move> {
    let number = index + 1;
    let inner = ui.horizontal(|ui| {
        let (name, typed) = input::draft(ui, &format!("name-{index}"), &column.name, "", NAME - 16.0);
        labelled(&name, egui::Role::TextInput, &format!("{} {number}", ctx.t(&words::COLUMN_NAME)));
        column.name = typed.unwrap_or_else(|| column.name.clone());
        let room = ui.available_width() - BUTTONS;
        value(ui, ctx, index, column, room.max(60.0));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let named = |word| format!("{} {}", ctx.t(word), column.name);
            let out = icon_button_enabled(ui, Icon::Close, &named(&words::REMOVE), all > 1).clicked();
            let down = icon_button_enabled(ui, Icon::ArrowDown, &named(&words::DOWN), number < all).clicked();
            let up = icon_button_enabled(ui, Icon::ArrowUp, &named(&words::UP), index > 0).clicked();
            [(out, Move::Out), (down, Move::Down), (up, Move::Up)].into_iter().find(|(hit, _)| *hit)
        })
        .inner
    });
    if is_expression(&column.value) {
        let mut text = column.value.clone();
        let edit = egui::TextEdit::singleline(&mut text).code_editor().desired_width(f32::INFINITY);
        let response = ui.add(edit);
        labelled(&response, egui::Role::TextInput, &format!("{} {number}", ctx.t(&words::EXPRESSION)));
        // An expression that has lost its braces would be taken for a column's name.
        if is_expression(&text) {
            column.value = text;
        }
    }
    inner.inner.map(|(_, how)| how)
}

fn labelled(response: &egui::Response, role: egui::Role, name: &str) {
    let enabled = response.enabled();
    response.widget_info(|| WidgetInfo::labeled(role, enabled, name));
}

/// A column of the input, the answer, or an expression.
fn value(ui: &mut Ui, ctx: &PanelCtx<'_>, index: usize, column: &mut OutputColumn, width: f32) {
    let expression = is_expression(&column.value);
    let shown = match column.value.as_str() {
        ANSWER => ctx.t(&words::THE_ANSWER),
        _ if expression => ctx.t(&words::EXPRESSION),
        name => name,
    };
    let combo = ComboBox::from_id_salt(("value", index)).selected_text(shown.to_owned()).width(width - 14.0);
    let shown = combo.truncate().show_ui(ui, |ui| {
        ui.selectable_value(&mut column.value, ANSWER.to_owned(), ctx.t(&words::THE_ANSWER));
        for name in columns(ctx) {
            ui.selectable_value(&mut column.value, name.clone(), name);
        }
        if ui.selectable_label(expression, ctx.t(&words::EXPRESSION)).clicked() && !expression {
            column.value = expression_of(Some(&column.value));
        }
    });
    let name = format!("{} {}", ctx.t(&words::COLUMN_VALUE), index + 1);
    labelled(&shown.response, egui::Role::ComboBox, &name);
}

fn apply(columns: &mut Vec<OutputColumn>, index: usize, how: Move) {
    match how {
        Move::Up if index > 0 => columns.swap(index, index - 1),
        Move::Down if index + 1 < columns.len() => columns.swap(index, index + 1),
        Move::Out if columns.len() > 1 => {
            columns.remove(index);
        }
        Move::Up | Move::Down | Move::Out => {}
    }
}

/// A column that is not there yet: the answer if it is missing, else one of the input, else the answer again.
fn another(there: &[OutputColumn], columns: &[String]) -> OutputColumn {
    let missing = |value: &&str| there.iter().all(|column| column.value != **value);
    let named = columns.iter().map(String::as_str);
    let value = std::iter::once(ANSWER).chain(named).find(missing).unwrap_or(ANSWER).to_owned();
    let taken = |name: &String| there.iter().any(|column| column.name == *name);
    let numbered = (2..).map(|number| format!("{value}-{number}"));
    let name = std::iter::once(value.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
    OutputColumn { name, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, value: &str) -> OutputColumn {
        OutputColumn { name: name.into(), value: value.into() }
    }

    #[test]
    fn columns_move_within_the_list_and_the_last_one_stays() {
        let mut columns = vec![column("a", "a"), column("b", "b")];
        apply(&mut columns, 1, Move::Up);
        apply(&mut columns, 0, Move::Up);
        assert_eq!(columns[0].name, "b");
        apply(&mut columns, 1, Move::Down);
        apply(&mut columns, 1, Move::Out);
        apply(&mut columns, 0, Move::Out);
        assert_eq!(columns, [column("b", "b")]);
    }

    #[test]
    fn a_new_column_is_one_that_is_missing_under_a_name_of_its_own() {
        let file = ["id".to_owned(), "title".to_owned()];
        assert_eq!(another(&[column("id", "id")], &file), column("answer", "answer"));
        let there = [column("id", "id"), column("title", "answer")];
        assert_eq!(another(&there, &file), column("title-2", "title"));
        assert_eq!(another(&[column("answer", "answer")], &[]), column("answer-2", "answer"));
    }
}
