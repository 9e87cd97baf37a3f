//! A dataset and an engine that shows and judges it.

use std::path::PathBuf;

use egui_kittest::Harness;
use protocol::{
    Catalog, Command, Descriptor, Event, Finding, FindingKind, Histogram, ModelReport, ParamKind, ParamSpec,
    Preset, PreviewRow, PreviewSource, Remedy, RequestId, RunConfig, Severity, SourceReport, Text, TokenRole,
    UserError, Verdict,
};
use ui::App;
use ui::action::Action;
use ui::panels::data::PANEL;
use ui::testing::{FakeDesktop, FakeEngine};

use crate::support::{Window, ready};

pub const ROWS: u64 = 400;

pub const TEMPLATE: &str = "{#- ChatML, as Qwen has it -#}\n{%- for message in messages %}\n    \
    {{- '<|im_start|>' + message['role'] + '\\n' }}\n    {{- message['content'] | trim }}\n    \
    {{- '<|im_end|>\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    \
    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n";

/// What the engine is to say.
#[derive(Clone)]
pub struct Workshop {
    pub format: &'static str,
    /// Previews and checks fail.
    pub broken: bool,
    /// Every row has 32 000 tokens.
    pub long: bool,
    /// A check does not come to its end.
    pub slow: bool,
    /// The model's folder has no template of its own.
    pub known: bool,
}

impl Default for Workshop {
    fn default() -> Self {
        Self { format: "messages", broken: false, long: false, slow: false, known: false }
    }
}

/// Why the template is not the folder's own.
pub fn known() -> Text {
    Text::fixed(
        "the folder has none; the known one of Llama-3-Instruct",
        "该文件夹没有模板；采用 Llama-3-Instruct 的已知模板",
    )
}

/// The commands of a kind that were sent.
pub fn commands<T>(engine: &FakeEngine, pick: impl Fn(&Command) -> Option<T>) -> Vec<T> {
    engine.traffic.borrow().commands.iter().filter_map(pick).collect()
}

impl Workshop {
    /// The window on the data panel, with a model and a file.
    pub fn open(self, window: &Window) -> (Harness<'static, App>, FakeEngine) {
        self.open_with(window, &FakeDesktop::default())
    }

    pub fn open_with(self, window: &Window, desktop: &FakeDesktop) -> (Harness<'static, App>, FakeEngine) {
        let format = self.format;
        let engine = FakeEngine::new(move |command| self.answer(command));
        let mut harness = window.open(&engine, desktop);
        let Event::Ready { device, .. } = ready() else { unreachable!() };
        engine.tell(Event::Ready { catalog: Box::new(catalog()), device, devices: Vec::new() });
        harness.run();
        let mut config = RunConfig::default();
        config.model.path = "/models/tiny-qwen".into();
        config.data.train = vec!["/data/chats.jsonl".into()];
        config.data.max_length = 128;
        if format != "messages" {
            config.data.format = format.into();
        }
        harness.state().push(Action::Edit(Box::new(config)));
        harness.state().push(Action::Open(PANEL.panel_id()));
        for now in [0.0, 1.0, 2.0] {
            harness.state_mut().set_clock(now);
            harness.run();
        }
        (harness, engine)
    }

    fn answer(&self, command: &Command) -> Vec<Event> {
        match command {
            Command::ListRuns { request, .. } => {
                vec![Event::Runs { request: *request, dir: "/runs".into(), runs: Vec::new() }]
            }
            Command::Inspect { request, model } => {
                vec![Event::Inspected { request: *request, report: Box::new(model_report(&model.path)) }]
            }
            Command::Preview { request, .. } | Command::Check { request, .. } if self.broken => {
                vec![Event::Failed { request: Some(*request), error: Box::new(unreadable()) }]
            }
            Command::Preview { request, config, first, count, .. } => {
                vec![self.preview(*request, config, *first, *count)]
            }
            Command::Find { request, text, after, .. } => {
                let hit = text.strip_prefix("row ").and_then(|number| number.parse().ok());
                let rows = hit.filter(|hit| hit > after).into_iter().collect();
                let (scanned, complete) = if *after == 0 { (200, false) } else { (ROWS, true) };
                vec![Event::Found { request: *request, rows, scanned, complete }]
            }
            Command::Check { request, config, .. } if self.slow => vec![
                Event::Progress {
                    request: *request,
                    stage: Text::fixed("checking rows", "检查数据"),
                    done: 260,
                    total: ROWS,
                    unit: protocol::Unit::Count,
                    seconds_left: Some(4.0),
                },
                Event::Checking {
                    request: *request,
                    verdict: Box::new(verdict(config, self.format)),
                    rows_done: 260,
                },
            ],
            Command::Check { request, config, .. } => {
                vec![Event::Checked { request: *request, verdict: Box::new(verdict(config, self.format)) }]
            }
            other => super::analysis::answer(other, |row| self::row(row, 128)).into_iter().collect(),
        }
    }

    fn preview(&self, request: RequestId, config: &RunConfig, first: u64, count: u64) -> Event {
        let broken = config.data.template.contains("broken");
        let rows = (first..ROWS.min(first + count)).map(|index| row(index + 1, config.data.max_length));
        let source = PreviewSource {
            total: Some(ROWS),
            formats: vec![("/data/chats.jsonl".into(), self.format.into(), Some(reason()))],
            columns: vec!["question".into(), "answer".into(), "source".into()],
            template: Some(if self.known { "llama3" } else { "tokenizer_config.json" }.into()),
            template_reason: self.known.then(known),
            template_source: if config.data.template == "auto" {
                TEMPLATE.into()
            } else {
                config.data.template.clone()
            },
            template_error: broken.then(|| Box::new(template_error())),
            vocabulary: None,
        };
        let blank = |row: PreviewRow| PreviewRow {
            rendered: String::new(),
            ids: Vec::new(),
            tokens: Vec::new(),
            offsets: Vec::new(),
            loss_mask: Vec::new(),
            roles: Vec::new(),
            truncated_from: None,
            piece: None,
            pieces: None,
            ..row
        };
        let rows = match (broken, self.long) {
            (true, _) => rows.map(blank).collect(),
            (_, true) => rows.take(3).map(lengthened).collect(),
            (_, false) => rows.collect(),
        };
        Event::Preview { request, rows, source: Some(Box::new(source)) }
    }
}

fn reason() -> Text {
    Text::fixed("64 of 64 sampled rows have a list of messages", "抽样 64 行中有 64 行含有消息列表")
}

fn template_error() -> UserError {
    UserError::bad_input(Text::fixed("unexpected end of expression", "表达式意外结束"))
        .at_row(2)
        .mend(Text::fixed("close it with }}", "请以 }} 结束"))
}

fn unreadable() -> UserError {
    UserError::bad_input(Text::fixed("The file cannot be read", "文件无法读取"))
        .in_file("/data/chats.jsonl")
        .remedy(Remedy {
            label: Text::fixed("Use the format alpaca", "使用格式 alpaca"),
            changes: vec![("data.format".into(), "alpaca".into())],
        })
}

/// The end of a check.
pub fn checked(request: RequestId, state: &ui::state::AppState) -> Event {
    Event::Checked { request, verdict: Box::new(verdict(&state.project.config, "messages")) }
}

/// A conversation; every 23rd is long, every 31st in Chinese.
fn row(number: u64, max_length: u64) -> PreviewRow {
    use TokenRole::{Assistant, System, Template, User};
    let mut words: Vec<(String, TokenRole, bool)> = Vec::new();
    let mut say = |text: &str, role, learned| {
        for word in split(text) {
            words.push((word, role, learned));
        }
    };
    say("<|im_start|>|system|\n", Template, false);
    say("You| are| Ember|,| a| careful| assistant|.", System, false);
    say("<|im_end|>|\n|<|im_start|>|user|\n", Template, false);
    match number % 31 {
        30 => say("请|问|：|第|", User, false),
        _ => say("What| is| said| in| row| |", User, false),
    }
    say(&format!("{number}"), User, false);
    say("?|<|im_end|>".split_once('|').map_or("", |it| it.0), User, false);
    say("<|im_end|>|\n|<|im_start|>|assistant|\n", Template, false);
    let times = if number.is_multiple_of(23) { 20 } else { 2 + number as usize % 3 };
    for turn in 0..times {
        let text = match (number % 31, turn % 2) {
            (30, _) => "这一|行|说|的|是|：|学习|率|由|模型|决定|。|\n",
            (_, 1) => "```|rust|\n|fn| main|()| {|\n|    |println|!(\"|hi|\");|\n|}|\n|```|\n",
            _ => "It| says| that| learning| rates| matter|:| 2|e|-|4| is| a| fair| start|.|\n|\n",
        };
        say(text, Assistant, true);
    }
    say("<|im_end|>", Assistant, true);
    say("\n", Template, false);
    let whole = words.len() as u64;
    let mut rendered = String::new();
    let mut offsets = Vec::new();
    for (word, _, _) in &words {
        let start = rendered.len() as u64;
        rendered.push_str(word);
        offsets.push((start, rendered.len() as u64));
    }
    let kept = whole.min(max_length) as usize;
    words.truncate(kept);
    offsets.truncate(kept);
    PreviewRow {
        piece: None,
        pieces: None,
        row: number,
        file: "/data/chats.jsonl".into(),
        rendered,
        ids: (0..kept as u32).map(|index| index * 37 % 5000 + 300).collect(),
        tokens: words.iter().map(|(word, _, _)| word.replace(' ', "_").replace('\n', "\\n")).collect(),
        offsets,
        loss_mask: words.iter().map(|(_, _, learned)| *learned).collect(),
        roles: words.iter().map(|(_, role, _)| *role).collect(),
        truncated_from: (whole > max_length).then_some(whole),
        notes: Vec::new(),
        error: None,
        fields: vec![
            ("question".into(), format!("What is said in row {number}?")),
            ("answer".into(), "It says that learning rates matter: 2e-4 is a fair start.".into()),
            ("source".into(), "handbook, chapter 3".into()),
        ],
    }
}

/// A row that goes on and on, to 32 000 tokens.
fn lengthened(row: PreviewRow) -> PreviewRow {
    let times = 32_000 / row.ids.len() + 1;
    let length = row.rendered.len() as u64;
    let mut long = PreviewRow { rendered: row.rendered.repeat(times), truncated_from: None, ..row.clone() };
    for time in 1..times as u64 {
        long.ids.extend(&row.ids);
        long.tokens.extend(row.tokens.iter().cloned());
        long.loss_mask.extend(&row.loss_mask);
        long.roles.extend(&row.roles);
        let moved = row.offsets.iter().map(|(start, end)| (start + time * length, end + time * length));
        long.offsets.extend(moved);
    }
    long.ids.truncate(32_000);
    long.tokens.truncate(32_000);
    long.loss_mask.truncate(32_000);
    long.roles.truncate(32_000);
    long.offsets.truncate(32_000);
    long
}

/// Words between bars; the marks of the template have bars of their own.
fn split(text: &str) -> Vec<String> {
    let text = text.replace("<|im_start|>", "\u{1}").replace("<|im_end|>", "\u{2}");
    let words = text.split('|').filter(|word| !word.is_empty());
    words.map(|word| word.replace('\u{1}', "<|im_start|>").replace('\u{2}', "<|im_end|>")).collect()
}

fn verdict(config: &RunConfig, format: &str) -> Verdict {
    let remedy = |en: &'static str, zh: &'static str, key: &str, value: serde_json::Value| Remedy {
        label: Text::fixed(en, zh),
        changes: vec![(key.into(), value)],
    };
    let long: Vec<u64> = (1..=ROWS / 23).map(|index| index * 23).collect();
    let finding = |kind, severity, rows: Vec<u64>, text, remedies| Finding {
        kind,
        severity,
        count: rows.len() as u64,
        rows,
        text,
        mend: None,
        remedies,
    };
    let mut findings = Vec::new();
    if config.data.max_length < 256 {
        findings.push(finding(
            FindingKind::TooLong,
            Severity::Warning,
            long,
            Text::fixed("17 rows are longer than 128 tokens and are cut", "17 行超过 128 个词元，将被截断"),
            vec![
                remedy("Raise to 256 (+0.4 GB)", "提高到 256（+0.4 GB）", "data.max_length", 256.into()),
                remedy("Drop 17 rows", "丢弃 17 行", "data.on_too_long", "drop".into()),
            ],
        ));
    }
    findings.push(finding(
        FindingKind::Duplicate,
        Severity::Info,
        vec![12, 40, 41],
        Text::fixed("3 rows repeat an earlier row exactly", "3 行与之前的行完全相同"),
        Vec::new(),
    ));
    Verdict {
        sources: vec![SourceReport {
            file: "/data/chats.jsonl".into(),
            container: "jsonl".into(),
            format: format.into(),
            reason: reason(),
            rows: ROWS,
            bytes: 2_413_000,
            weight: 1.0,
            tokens: 31_420,
            share: Some(1.0),
        }],
        template: Some("tokenizer_config.json".into()),
        template_reason: None,
        rows: ROWS,
        usable_rows: 380,
        validation_rows: 20,
        tokens: 31_420,
        learned_tokens: 18_870,
        longest: 231,
        max_length: config.data.max_length,
        lengths: Histogram {
            edges: (0..=29).map(|edge| edge * 8).collect(),
            counts: vec![
                0, 0, 0, 2, 9, 31, 62, 80, 71, 52, 36, 22, 10, 5, 2, 1, 0, 0, 0, 0, 0, 0, 1, 3, 5, 4, 2, 1, 1,
            ],
        },
        findings,
        forecast: None,
        steps: 285,
        padding: None,
        ok: true,
    }
}

fn model_report(path: &std::path::Path) -> ModelReport {
    ModelReport {
        path: PathBuf::from(path),
        family: "qwen2".into(),
        class: "Qwen2ForCausalLM".into(),
        variant: None,
        parameters: 494_032_768,
        file_bytes: 988_097_824,
        dtypes: [("bf16".to_owned(), 290)].into(),
        layers: 24,
        hidden_size: 896,
        vocab_size: 151_936,
        context_length: 32_768,
        tied_head: true,
        linears: Vec::new(),
        default_targets: Vec::new(),
        tokenizer: Some("tokenizer.json".into()),
        template: Some("tokenizer_config.json".into()),
        template_reason: None,
        licence_files: Vec::new(),
        notes: Vec::new(),
    }
}

fn catalog() -> Catalog {
    let field = |key: &str, default: &str| ParamSpec {
        key: key.into(),
        name: Text::new(key, key),
        help: Text::fixed("A column or an expression", "列名或表达式"),
        kind: ParamKind::Text { default: default.into() },
        advanced: false,
    };
    let format = |id: &str, name: Text, fields: Vec<ParamSpec>| Descriptor {
        id: id.into(),
        name,
        help: Text::fixed("How rows are read", "如何读取每一行"),
        params: fields,
    };
    let preset = |id: &str, name: Text, source: &str| Preset {
        id: id.into(),
        name,
        help: Text::fixed("Comes with the program", "程序自带"),
        source: source.into(),
    };
    Catalog {
        formats: vec![
            format("alpaca", Text::fixed("Alpaca", "Alpaca"), vec![field("instruction", "instruction")]),
            format(
                "messages",
                Text::fixed("Messages", "消息"),
                vec![field("messages", "messages"), field("tools", "tools")],
            ),
            format(
                "columns",
                Text::fixed("Columns of a table", "按列"),
                ["prompt", "query", "response", "history", "system"].map(|key| field(key, key)).to_vec(),
            ),
            format("completion", Text::fixed("Completion", "续写"), vec![field("prompt", "prompt")]),
        ],
        templates: vec![
            preset("chatml", Text::fixed("chatml", "chatml"), TEMPLATE),
            preset("llama3", Text::fixed("Llama 3 Instruct", "Llama 3 Instruct"), TEMPLATE),
        ],
        column_maps: vec![preset(
            "title",
            Text::fixed("Title and text", "title 与 text"),
            "[data]\nformat = \"completion\"\n[data.columns]\nprompt = \"# {{ title }}\\n\\n\"\ncompletion = \"text\"\n",
        )],
        written_formats: ["messages", "alpaca"].map(String::from).to_vec(),
        ..Catalog::default()
    }
}
