//! The files, how they are read, and what of them is learned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egui::{Align, ComboBox, DragValue, Label, Layout, Response, RichText, Slider, Ui};
use protocol::config::{OnTooLong, TrainOn, Validation};
use protocol::{RepoKind, RunConfig, Text};

use crate::action::Action;
use crate::command::UiCommand;
use crate::desktop::{DesktopRequest, Purpose};
use crate::panels::PanelCtx;
use crate::state::convert::ConvertAction;
use crate::state::data::DataAction;
use crate::state::hub::HubAction;
use crate::theme::UiTokens;
use crate::widgets::{Icon, button, card, field, icon_button, input, number, section, segmented, toggle};
use crate::words::data as words;

/// Where there is room for two columns.
const TWO_COLUMNS: f32 = 620.0;
/// The format of plain texts.
const TEXT: &str = "text";
/// Validation rows that a fraction may take at most.
const MOST_VALIDATION: f64 = 0.5;

pub fn ui(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    let mut config = ctx.state.project.config.clone();
    if ui.available_width() >= TWO_COLUMNS {
        super::tokens::columns(ui, |left, right| {
            files(left, ctx, &mut config);
            settings(right, ctx, &mut config);
        });
    } else {
        files(ui, ctx, &mut config);
        ui.add_space(6.0);
        settings(ui, ctx, &mut config);
    }
    ctx.edit(config);
}

/// Offered when the engine knows hubs.
pub fn from_hub(ui: &mut Ui, ctx: &PanelCtx<'_>) {
    if ctx.state.engine.catalog.hubs.is_empty() {
        return;
    }
    if button(ui, Some(Icon::Download), ctx.t(&crate::words::hub::FROM_HUB)).clicked() {
        ctx.push(Action::Hub(HubAction::Fetch(RepoKind::Dataset)));
    }
}

fn files(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    ui.horizontal(|ui| {
        section(ui, ctx.t(&words::FILES));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if button(ui, Some(Icon::FilePlus), ctx.t(&words::ADD_FILES)).clicked() {
                ctx.push(Action::Command(UiCommand::AddData));
            }
            from_hub(ui, ctx);
            if !ctx.state.engine.catalog.written_formats.is_empty()
                && icon_button(ui, Icon::Compare, ctx.t(&crate::words::convert::CONVERT)).clicked()
            {
                ctx.push(Action::Data(DataAction::Convert(ConvertAction::Open)));
            }
        });
    });
    let mut removed = None;
    card(ui, |ui| {
        let several = config.data.train.len() > 1;
        for (index, file) in config.data.train.iter().enumerate() {
            if file_line(ui, ctx, file) {
                removed = Some(index);
            }
            weight(ui, ctx, file, several, &mut config.data.weights);
        }
        if let Some(counting) = &ctx.state.data.counting {
            crate::widgets::progress_line(ui, ctx, counting);
        }
    });
    if let Some(index) = removed {
        let path = config.data.train.remove(index);
        config.data.weights.remove(&*path.to_string_lossy());
    }
    ui.add_space(4.0);
    validation(ui, ctx, config);
}

/// How often the rows of one of several files are seen in an epoch; 1 is not written down.
fn weight(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &Path, several: bool, weights: &mut BTreeMap<String, f64>) {
    let key = file.to_string_lossy().into_owned();
    if !several && !weights.contains_key(&key) {
        return;
    }
    let before = weights.get(&key).copied().unwrap_or(1.0);
    let mut times = before;
    field(ui, ctx.t(&words::WEIGHT), ctx.t(&words::WEIGHT_HELP), |ui| {
        input::real(ui, &mut times, 0.01..=100.0)
    });
    if times.to_bits() == before.to_bits() {
        return;
    }
    if times == 1.0 {
        weights.remove(&key);
    } else {
        weights.insert(key, times);
    }
}

/// What is known of a file.
struct Known<'a> {
    format: Option<&'a str>,
    reason: Option<&'a Text>,
    rows: Option<u64>,
    bytes: Option<u64>,
}

fn known<'a>(ctx: &PanelCtx<'a>, file: &Path) -> Known<'a> {
    let data = &ctx.state.data;
    let whole = ctx.state.project.base.join(file);
    let same = |path: &Path| path == whole || path == file;
    let judged = data.newest_verdict().and_then(|verdict| verdict.sources.iter().find(|it| same(&it.file)));
    let shown = data.page.value.as_ref();
    let shown = shown.and_then(|page| page.source.formats.iter().find(|(path, _, _)| same(path)));
    Known {
        format: shown.map(|it| it.1.as_str()).or(judged.map(|it| it.format.as_str())),
        reason: shown.and_then(|it| it.2.as_ref()).or(judged.map(|it| &it.reason)),
        rows: judged.map(|it| it.rows),
        bytes: judged.map(|it| it.bytes),
    }
}

/// One file; true when it is to be removed.
fn file_line(ui: &mut Ui, ctx: &PanelCtx<'_>, file: &Path) -> bool {
    let tokens = ui.tokens();
    let known = known(ctx, file);
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let mut facts = Vec::new();
    facts.extend(known.rows.map(|rows| {
        let rows = number::count(rows);
        ctx.t(&protocol::text!("{rows} rows", "{rows} 行")).to_owned()
    }));
    facts.extend(known.bytes.map(number::bytes));
    facts.extend(known.format.map(|id| format_name(ctx, id).to_owned()));
    let removed = ui
        .horizontal(|ui| {
            Icon::File.ui(ui, 15.0, tokens.text_weak);
            let inner = ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let label = format!("{} {name}", ctx.t(&words::REMOVE));
                let removed = icon_button(ui, Icon::Close, &label).clicked();
                ui.label(RichText::new(facts.join(" · ")).small().color(tokens.text_weak));
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(RichText::new(name.as_ref()).color(tokens.text_strong)).truncate())
                        .on_hover_text(file.display().to_string());
                });
                removed
            });
            inner.inner
        })
        .inner;
    if let Some(reason) = known.reason {
        ui.add(Label::new(RichText::new(ctx.t(reason)).small().color(tokens.text_weak)).truncate());
    }
    removed
}

/// The format that was detected, or chosen.
pub fn effective_format(ctx: &PanelCtx<'_>) -> Option<String> {
    let chosen = &ctx.state.project.config.data.format;
    if chosen != "auto" {
        return Some(chosen.clone());
    }
    let data = &ctx.state.data;
    let shown = data.page.value.as_ref().and_then(|page| page.source.formats.first());
    let judged = data.newest_verdict().and_then(|verdict| verdict.sources.first());
    shown.map(|(_, id, _)| id.clone()).or(judged.map(|source| source.format.clone()))
}

/// A format as people call it.
fn format_name<'a>(ctx: &PanelCtx<'a>, id: &'a str) -> &'a str {
    ctx.state.engine.format_name(id, ctx.language)
}

fn validation(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    ui.horizontal(|ui| {
        let help = ctx.t(&words::VALIDATION_HELP);
        ui.scope(|ui| section(ui, ctx.t(&words::VALIDATION))).response.on_hover_text(help);
        let own = matches!(config.data.validation, Validation::Files(_));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let choices = [(false, ctx.t(&words::OF_THE_ROWS)), (true, ctx.t(&words::OWN_FILES))];
            match segmented(ui, own, &choices) {
                Some(true) => pick_validation(ctx),
                Some(false) => config.data.validation = RunConfig::default().data.validation,
                None => {}
            }
        });
    });
    match &mut config.data.validation {
        Validation::Fraction(part) => {
            let rows = ctx.state.data.newest_verdict().map(|verdict| verdict.validation_rows);
            fraction(ui, ctx, part, rows);
        }
        Validation::Files(files) => validation_files(ui, ctx, files),
    }
}

fn fraction(ui: &mut Ui, ctx: &PanelCtx<'_>, part: &mut f64, rows: Option<u64>) {
    ui.horizontal(|ui| {
        let mut percent = *part * 100.0;
        let slider = Slider::new(&mut percent, 0.0..=MOST_VALIDATION * 100.0)
            .suffix(" %")
            .max_decimals(1)
            .step_by(0.5);
        let response = ui.add(slider);
        name(&response, ctx.t(&words::PART), percent);
        if response.changed() {
            *part = (percent * 10.0).round() / 1000.0;
        }
        if let Some(rows) = rows {
            let rows = number::count(rows);
            let text = protocol::text!("{rows} rows", "{rows} 行");
            ui.label(RichText::new(ctx.t(&text)).small().color(ui.tokens().text_weak));
        }
    });
}

/// A number's accessible name, where no label stands beside it.
fn name(response: &Response, name: &str, value: f64) {
    let enabled = response.enabled();
    response.widget_info(|| egui::WidgetInfo::slider(enabled, value, name));
}

fn pick_validation(ctx: &PanelCtx<'_>) {
    let extensions = crate::apply::DATA_EXTENSIONS.iter().map(|it| (*it).to_owned()).collect();
    let purpose = Purpose::ValidationFiles;
    ctx.push(Action::Desktop(DesktopRequest::PickFiles { purpose, extensions, many: true }));
}

fn validation_files(ui: &mut Ui, ctx: &PanelCtx<'_>, files: &mut Vec<PathBuf>) {
    let mut removed = None;
    card(ui, |ui| {
        for (index, file) in files.iter().enumerate() {
            if file_line(ui, ctx, file) {
                removed = Some(index);
            }
        }
        if button(ui, Some(Icon::FilePlus), ctx.t(&words::ADD_FILES)).clicked() {
            pick_validation(ctx);
        }
    });
    if let Some(index) = removed {
        files.remove(index);
    }
}

fn settings(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    format(ui, ctx, &mut config.data.format);
    learn(ui, ctx, &mut config.data.train_on);
    let longest = ctx.state.data.newest_verdict().map(|verdict| verdict.longest);
    field(ui, ctx.t(&words::MAX_LENGTH), ctx.t(&words::MAX_LENGTH_HELP), |ui| {
        let drag = DragValue::new(&mut config.data.max_length).range(1..=1_048_576).speed(8.0);
        let response = ui.add(drag);
        let mut text = ctx.t(&words::TOKENS).to_owned();
        if let Some(longest) = longest {
            let longest = number::count(longest);
            text += " · ";
            text += ctx.t(&protocol::text!("longest {longest}", "最长 {longest}"));
        }
        ui.add(Label::new(RichText::new(text).small().color(ui.tokens().text_weak)).truncate());
        response
    });
    let too_long = [
        (OnTooLong::Truncate, &words::TRUNCATE, None),
        (OnTooLong::Split, &words::SPLIT, None),
        (OnTooLong::Drop, &words::DROP, None),
        (OnTooLong::Error, &words::REFUSE, None),
    ];
    choice(ui, ctx, &words::TOO_LONG_ROWS, &mut config.data.on_too_long, &too_long);
    parts(ui, ctx, config);
    ui.add_space(2.0);
    toggle(ui, &mut config.data.packing, ctx.t(&words::PACKING)).on_hover_text(ctx.t(&words::PACKING_HELP));
    if ctx.state.preferences.expert {
        toggle(ui, &mut config.data.allow_unlabelled, ctx.t(&words::ALLOW_UNLABELLED));
        toggle(ui, &mut config.data.skip_bad_rows, ctx.t(&words::SKIP_BAD_ROWS));
    }
}

/// What ChatGLM's scripts set of question and answer, and blocks of plain text: shown to who wants every setting, and
/// where something is set.
fn parts(ui: &mut Ui, ctx: &PanelCtx<'_>, config: &mut RunConfig) {
    let expert = ctx.state.preferences.expert;
    let data = &mut config.data;
    if expert || !data.source_prefix.is_empty() {
        field(ui, ctx.t(&words::SOURCE_PREFIX), ctx.t(&words::SOURCE_PREFIX_HELP), |ui| {
            input::text(ui, "source-prefix", &mut data.source_prefix, "", 172.0)
        });
    }
    let lengths = [
        (&mut data.max_source_length, &words::MAX_SOURCE, &words::MAX_SOURCE_HELP),
        (&mut data.max_target_length, &words::MAX_TARGET, &words::MAX_TARGET_HELP),
    ];
    for (length, name, help) in lengths {
        if expert || *length > 0 {
            field(ui, ctx.t(name), ctx.t(help), |ui| input::integer(ui, length, 0..=1_048_576, ""));
        }
    }
    let texts = effective_format(ctx).is_some_and(|format| format == TEXT);
    if texts || data.join_texts {
        toggle(ui, &mut data.join_texts, ctx.t(&words::JOIN_TEXTS))
            .on_hover_text(ctx.t(&words::JOIN_TEXTS_HELP));
    }
}

fn learn(ui: &mut Ui, ctx: &PanelCtx<'_>, train_on: &mut TrainOn) {
    let choices = [
        (TrainOn::Responses, &words::RESPONSES, Some(&words::RESPONSES_HELP)),
        (TrainOn::LastResponse, &words::LAST_RESPONSE, Some(&words::LAST_RESPONSE_HELP)),
        (TrainOn::Everything, &words::EVERYTHING, Some(&words::EVERYTHING_HELP)),
    ];
    choice(ui, ctx, &words::LEARN, train_on, &choices);
}

/// A choice of few as a menu, each with a line of help.
fn choice<T: PartialEq + Copy>(
    ui: &mut Ui,
    ctx: &PanelCtx<'_>,
    label: &Text,
    value: &mut T,
    choices: &[(T, &Text, Option<&Text>)],
) {
    let current = choices.iter().find(|(choice, _, _)| choice == value);
    let current = current.map_or("", |(_, name, _)| ctx.t(name));
    let help = choices.iter().find(|(choice, _, _)| choice == value).and_then(|(_, _, help)| *help);
    field(ui, ctx.t(label), help.map_or("", |help| ctx.t(help)), |ui| {
        let combo = ComboBox::from_id_salt(&label.en).selected_text(current).width(190.0);
        let shown = combo.show_ui(ui, |ui| {
            for (choice, name, help) in choices {
                let response = ui.selectable_value(value, *choice, ctx.t(name));
                if let Some(help) = help {
                    response.on_hover_text(ctx.t(help));
                }
            }
        });
        shown.response
    });
}

fn format(ui: &mut Ui, ctx: &PanelCtx<'_>, format: &mut String) {
    let detected = effective_format(ctx);
    let detect = match detected.as_deref().filter(|_| format.as_str() == "auto") {
        Some(id) => {
            let name = format_name(ctx, id);
            ctx.t(&protocol::text!("Detected: {name}", "已识别：{name}")).to_owned()
        }
        None => ctx.t(&words::DETECT).to_owned(),
    };
    let shown = if format.as_str() == "auto" { detect.clone() } else { format_name(ctx, format).to_owned() };
    let page = ctx.state.data.page.value.as_ref();
    let reason = page.and_then(|page| page.source.formats.first()).and_then(|(_, _, reason)| reason.as_ref());
    field(ui, ctx.t(&words::FORMAT), reason.map_or("", |reason| ctx.t(reason)), |ui| {
        let combo = ComboBox::from_id_salt("format").selected_text(shown).width(190.0);
        let shown = combo.show_ui(ui, |ui| {
            ui.selectable_value(format, "auto".to_owned(), &detect);
            for known in &ctx.state.engine.catalog.formats {
                ui.selectable_value(format, known.id.clone(), ctx.t(&known.name))
                    .on_hover_text(ctx.t(&known.help));
            }
        });
        shown.response
    });
}
