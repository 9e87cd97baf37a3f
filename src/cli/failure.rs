//! Errors as the user reads them: what, the details, how to mend it, and the place last.

use protocol::{Event, Language, Place, Remedy, Text, UserError, text};

use super::format::printable;
use super::screen::Screen;

/// How many details are printed; with `--json` all are.
const DETAILS: usize = 40;

/// Tells an error and returns the exit code it stands for.
pub fn report(error: &UserError, screen: &mut Screen) -> u8 {
    if screen.is_json() {
        screen.json(&Event::Failed { request: None, error: Box::new(error.clone()) });
    }
    let head = screen.pick(&Text::fixed("error: ", "错误："));
    screen.say(&format!(
        "{}{}",
        console::style(head).for_stderr().red().bold(),
        describe(error, screen.language())
    ));
    error.exit_code()
}

/// The words of an error.
fn describe(error: &UserError, language: Language) -> String {
    let mut lines = vec![error.what.get(language).to_owned()];
    lines.extend(error.details.iter().take(DETAILS).map(|detail| format!("  {detail}")));
    lines.extend(more(error).map(|text| format!("  {}", text.get(language))));
    if let Some(mend) = &error.mend {
        lines.push(match language {
            Language::English => format!("  to mend it: {}", mend.en),
            Language::Chinese => format!("  解决办法：{}", mend.zh),
        });
    }
    lines.extend(error.remedies.iter().map(|remedy| format!("  ⇒ {}", offer(remedy, language))));
    if error.place != Place::default() {
        lines.push(match language {
            Language::English => format!("  where: {}", error.place),
            Language::Chinese => format!("  位置：{}", chinese_place(&error.place)),
        });
    }
    // Names and the words of others may hold what a terminal takes for orders.
    printable(&lines.join("\n"))
}

fn more(error: &UserError) -> Option<Text> {
    let count = error.details.len().checked_sub(DETAILS).filter(|count| *count > 0)?;
    Some(text!("… and {count} more, which --json prints", "……另有 {count} 条，可用 --json 查看"))
}

/// What can be changed and to what: `Drop 3 rows: data.on_too_long = "drop"`.
pub fn offer(remedy: &Remedy, language: Language) -> String {
    let changes = remedy.changes.iter().map(|(key, value)| format!("{key} = {value}"));
    format!("{}: {}", remedy.label.get(language), changes.collect::<Vec<_>>().join(", "))
}

fn chinese_place(place: &Place) -> String {
    let row = place.row.map(|row| format!("第 {row} 行"));
    let file = place.file.as_ref().map(|file| file.display().to_string());
    place.item.iter().cloned().chain(row).chain(file).collect::<Vec<_>>().join("，")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_how_to_mend_it_and_where() {
        let error = UserError::bad_input(Text::fixed("A row is broken", "有一行已损坏"))
            .detail("expected `,`")
            .mend(Text::fixed("correct it", "请更正"))
            .at_row(7)
            .at_item("output")
            .in_file("a.jsonl");
        let english =
            "A row is broken\n  expected `,`\n  to mend it: correct it\n  where: output, row 7, a.jsonl";
        assert_eq!(describe(&error, Language::English), english);
        let chinese = "有一行已损坏\n  expected `,`\n  解决办法：请更正\n  位置：output，第 7 行，a.jsonl";
        assert_eq!(describe(&error, Language::Chinese), chinese);
    }

    #[test]
    fn what_is_said_fits_a_screen() {
        let error = UserError::bad_input(Text::fixed("Broken", "已损坏"));
        let lines = |count: usize| {
            let error = error.clone().details((0..count).map(|at| format!("tensor {at}")));
            describe(&error, Language::English).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(DETAILS).len(), 1 + DETAILS);
        assert_eq!(lines(500).len(), 2 + DETAILS);
        assert_eq!(lines(500).last().unwrap(), "  … and 460 more, which --json prints");
    }
}
