//! Previews, searches and checks.

use std::time::Instant;

use protocol::{Command, Event, ModelRef, PreviewRow, PreviewSource, RequestId, RunConfig, Wish};

use super::{check, config, told};
use crate::project::conversations;
use crate::runs::support::{Engine, Project};

fn preview(
    engine: &mut Engine,
    project: &Project,
    config: &RunConfig,
    first: u64,
) -> (Vec<PreviewRow>, PreviewSource) {
    let (config, base) = (Box::new(config.clone()), project.path(""));
    let ask = |request| Command::Preview { request, config, base, first, count: 3 };
    engine.ask(ask, |event| match event {
        Event::Preview { rows, source, .. } => Some((rows, *source.unwrap())),
        Event::Failed { error, .. } => panic!("{error}"),
        _ => None,
    })
}

#[test]
fn a_preview_says_how_its_rows_were_read() {
    let project = Project::new();
    let mut engine = Engine::start();
    let (rows, source) = preview(&mut engine, &project, &config(""), 0);
    assert_eq!((rows.len(), source.total), (3, Some(22)));
    assert_eq!(source.columns, ["messages"]);
    let (file, format, reason) = &source.formats[0];
    assert!(file.ends_with("data.jsonl") && format == "messages" && reason.is_some());
    assert!(source.template.unwrap().ends_with("tokenizer_config.json"));
    assert!(source.template_source.contains("<|im_start|>") && source.template_error.is_none());
    assert!(rows[0].fields[0].1.contains("\"role\""), "{:?}", rows[0].fields);
    // Text needs no template.
    project.write("text.txt", "one\ntwo\n");
    let mut plain = config("");
    plain.data.train = vec!["text.txt".into()];
    plain.data.template = "{% broken".into();
    let (rows, source) = preview(&mut engine, &project, &plain, 0);
    assert_eq!((rows[0].fields[0].1.as_str(), source.template), ("one", None));
    assert!(source.template_error.is_none() && source.template_source.is_empty());
}

/// A folder without a template: its family's is taken, and every report says so.
#[test]
fn a_family_s_known_template_is_taken_and_told() {
    let project = Project::new();
    let file = project.path("model/tokenizer_config.json");
    let mut settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    settings.as_object_mut().unwrap().remove("chat_template");
    project.write("model/tokenizer_config.json", &settings.to_string());
    let mut engine = Engine::start();
    let config = config("");
    let (rows, source) = preview(&mut engine, &project, &config, 0);
    let reason = source.template_reason.unwrap();
    assert_eq!(source.template.as_deref(), Some("chatml"));
    assert!(reason.en.starts_with("the folder has none; the known one of"), "{reason}");
    assert!(rows[0].rendered.starts_with("<|im_start|>"), "{}", rows[0].rendered);
    let verdict = check(&mut engine, &project, &config);
    assert_eq!(
        (verdict.template.as_deref(), verdict.template_reason.as_ref()),
        (Some("chatml"), Some(&reason))
    );
    let model = ModelRef { path: project.path("model"), dtype: "auto".into(), ..ModelRef::default() };
    let report = engine.ask(
        |request| Command::Inspect { request, model },
        |event| match event {
            Event::Inspected { report, .. } => Some(*report),
            other => panic!("{other:?}"),
        },
    );
    assert_eq!((report.template.as_deref(), report.template_reason), (Some("chatml"), Some(reason)));
    assert!(report.notes.iter().all(|note| !note.en.contains("template")), "{:?}", report.notes);
}

#[test]
fn a_template_is_edited_in_the_run_file_and_its_faults_have_a_line() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut config = config("");
    config.data.template =
        "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}".into();
    let (rows, source) = preview(&mut engine, &project, &config, 0);
    assert!(rows[0].rendered.starts_with("user: "), "{}", rows[0].rendered);
    assert_eq!(
        (source.template.as_deref(), &source.template_source),
        (Some("data.template"), &config.data.template)
    );
    let endless = "x\n\n{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let faults = [
        ("{% for m in messages %}\n{{ m.content }", 2, "not understood"),
        ("ok\n{{ messages[0].content.nothing.more }}", 2, "failed"),
        ("a\n{{ raise_exception('never') }}", 2, "never"),
        (endless, 3, "come to an end"),
    ];
    for (template, line, part) in faults {
        config.data.template = template.into();
        let (rows, source) = preview(&mut engine, &project, &config, 0);
        let error = source.template_error.unwrap_or_else(|| panic!("{template} is no fault"));
        assert_eq!(error.place.row, Some(line), "{template}: {error}");
        assert_eq!(error.place.file, Some("data.template".into()), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(rows.iter().all(|row| row.ids.is_empty() && !row.fields.is_empty()));
        assert_eq!((source.template_source.as_str(), source.columns.len()), (template, 1));
    }
    config.data.template = "no-such".into();
    let (_, source) = preview(&mut engine, &project, &config, 0);
    assert!(source.template_error.is_some() && source.template.is_none());
}

/// 14 MB of conversations, each with its number.
fn large(project: &Project) -> u64 {
    let rows = 60_000;
    let line = |n: u64| {
        let turns = serde_json::json!([
            {"role": "user", "content": format!("question {n} {}", "wood ".repeat(20))},
            {"role": "assistant", "content": format!("ember {n}")},
        ]);
        serde_json::json!({ "messages": turns }).to_string() + "\n"
    };
    project.write("data.jsonl", &(1..=rows).map(line).collect::<String>());
    rows
}

#[test]
fn a_large_file_shows_rows_at_once_and_its_number_when_it_is_counted() {
    let project = Project::new();
    let rows = large(&project);
    let mut engine = Engine::start();
    let (config, base) = (config(""), project.path(""));
    let mut answers = Vec::new();
    let total = engine.ask(
        |request| Command::Preview { request, config: config.clone(), base, first: 0, count: 3 },
        |event| match event {
            Event::Preview { rows, source, .. } => {
                answers.push(rows);
                source.unwrap().total
            }
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        },
    );
    assert_eq!(total, rows);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the rows stay");
    assert!(answers[0][2].rendered.contains("question 3 "));
    let (far, source) = preview(&mut engine, &project, &config, rows - 2);
    assert_eq!((far.len(), far[0].row, source.total), (2, rows - 1, Some(rows)));
    // Everything is open now: editing the template costs the rows alone.
    let mut edited = config.clone();
    edited.data.template = "{% for m in messages %}{{ m.content }}{% endfor %}".into();
    preview(&mut engine, &project, &edited, 5);
    let began = Instant::now();
    edited.data.template.push('!');
    let (rows, _) = preview(&mut engine, &project, &edited, 5);
    let seconds = began.elapsed().as_secs_f64();
    println!("a preview of open files takes {:.1} ms", seconds * 1e3);
    assert!(rows[0].rendered.ends_with('!') && seconds < 2.0, "{seconds}");
}

#[test]
fn rows_are_found_and_a_search_goes_on_where_it_ended() {
    let project = Project::new();
    let mut engine = Engine::start();
    let mut find = |text: &str, after: u64, limit: u64| {
        let (config, base, text) = (config(""), project.path(""), text.to_owned());
        engine.ask(
            |request| Command::Find { request, config, base, text, after, limit },
            |event| match event {
                Event::Found { rows, scanned, complete, .. } => Some((rows, scanned, complete)),
                Event::Failed { error, .. } => panic!("{error}"),
                _ => None,
            },
        )
    };
    let wanted: Vec<u64> = (1..)
        .zip(conversations(22).lines())
        .filter(|(_, row)| row.contains("river"))
        .map(|(n, _)| n)
        .collect();
    assert!(wanted.len() > 3);
    assert_eq!(find("RIVER", 0, 99), (wanted.clone(), 22, true));
    let (first, scanned, complete) = find("river", 0, 2);
    assert_eq!((first.as_slice(), scanned, complete), (&wanted[..2], wanted[1], false));
    assert_eq!(find("river", scanned, 99).0, wanted[2..]);
    // In the template's words, not in the row's.
    assert_eq!(find("<|im_start|>assistant", 0, 1).0, [1]);
    assert_eq!(find("nowhere", 0, 5), (vec![], 22, true));
}

#[test]
fn a_check_tells_its_verdict_on_the_way() {
    let project = Project::new();
    large(&project);
    let mut engine = Engine::start();
    let (config, base) = (config("[data]\nmax_length = 16\n"), project.path(""));
    let events = told(&mut engine, |request| Command::Check { request, config, base });
    let Some(Event::Checked { verdict, .. }) = events.last() else { panic!("{:?}", events.last()) };
    let so_far: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Checking { verdict, rows_done, .. } => {
                Some((*rows_done, verdict.lengths.counts.iter().sum()))
            }
            _ => None,
        })
        .collect();
    assert!(!so_far.is_empty() && so_far.is_sorted(), "{so_far:?}");
    assert!(so_far.iter().all(|(done, counted)| done == counted && *done <= verdict.rows), "{so_far:?}");
}

#[test]
fn a_request_that_was_overtaken_says_so() {
    let project = Project::new();
    large(&project);
    let mut engine = Engine::start();
    let (base, control) = (project.path(""), engine.control());
    let overtake = |request: RequestId| control.wish(Wish::Supersede(RequestId(request.0 + 1)));
    // While it works.
    let mut first = true;
    let ended = engine.ask(
        |request| Command::Check { request, config: config(""), base: base.clone() },
        |event| match event {
            Event::Progress { request, .. } => {
                if std::mem::take(&mut first) {
                    overtake(request);
                }
                None
            }
            Event::Checking { .. } => None,
            other => Some(other),
        },
    );
    assert!(matches!(ended, Event::Superseded { .. }), "{ended:?}");
    // Before it begins: nothing is done.
    control.wish(Wish::Supersede(RequestId(99)));
    let events = told(&mut engine, |request| Command::Preview {
        request,
        config: config(""),
        base,
        first: 0,
        count: 1,
    });
    assert!(matches!(events.as_slice(), [Event::Superseded { .. }]), "{events:?}");
    // The work thread's requests have nothing to do with it.
    let told = engine.run(project_of_one_step(&project), |_, _| {});
    told.finished();
}

fn project_of_one_step(project: &Project) -> impl FnOnce(RequestId) -> protocol::RunCommand + use<> {
    project.write("data.jsonl", &conversations(22));
    project.start("max_steps = 1\n", "run")
}
