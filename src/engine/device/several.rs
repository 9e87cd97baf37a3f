//! Several devices that share a run.

use protocol::{DeviceKind, DeviceReport, Result, Text, UserError, text};

use super::{Chosen, choose_one, cpu, cuda};

/// `auto`, `cpu`, `cuda:N`, or several names with commas between them: `cuda:0,cuda:1`, or `cpu:0,cpu:1` for workers that
/// share the cores.
///
/// # Errors
/// When a word is no device, a GPU was asked for by name and cannot be used, or the devices cannot work together.
pub fn choose(wish: &str) -> Result<Chosen> {
    let names: Vec<&str> = wish.split(',').map(str::trim).collect();
    let [first, others @ ..] = names.as_slice() else { return choose_one("auto") };
    if !others.is_empty() && names.iter().any(|name| matches!(*name, "" | "auto")) {
        return Err(UserError::bad_input(text!("`{wish}` is no list of devices", "`{wish}` 不是设备列表"))
            .at_item("--device")
            .mend(Text::fixed("name each device, as in cuda:0,cuda:1", "请逐一写出设备，如 cuda:0,cuda:1")));
    }
    let mut chosen = choose_one(first)?;
    chosen.others = others.iter().map(|name| choose_one(name)).collect::<Result<_>>()?;
    refuse_strange(&chosen)?;
    Ok(chosen)
}

/// The devices of a run: those that the command line names, else those of the run file (`wanted`), else the engine's own.
/// The CPU, named as a whole, may still be shared by the workers of the run file.
///
/// # Errors
/// As [`choose`].
pub fn for_run(engine: &Chosen, wanted: &[String]) -> Result<Chosen> {
    let whole_cpu = engine.count() == 1 && engine.report.kind == DeviceKind::Cpu;
    let within = whole_cpu && wanted.iter().all(|name| cpu::index(name.trim()).is_some());
    if wanted.is_empty() || engine.by_name && !within {
        return Ok(engine.clone());
    }
    choose(&wanted.join(",")).map_err(|error| match error.place.item.as_deref() {
        Some("--device") => error.at_item("train.devices"),
        _ => error,
    })
}

/// Every device that a run may be given, without trying any.
pub fn on_offer() -> Vec<DeviceReport> {
    let cards = cuda::reports();
    if cards.is_empty() { vec![cpu::choose(0, None).report] } else { cards }
}

/// One that is named twice, and ones of two kinds: their numbers are rounded differently.
fn refuse_strange(chosen: &Chosen) -> Result<()> {
    let words: Vec<String> = chosen.all().map(|one| one.report.word()).collect();
    let is_of_cpu = |one: &&Chosen| one.report.kind == DeviceKind::Cpu;
    let mixed = chosen.all().filter(is_of_cpu).count();
    if mixed > 0 && mixed < words.len() {
        let all = words.join(", ");
        return Err(UserError::bad_input(text!(
            "A run cannot be shared by the CPU and GPUs: {all}",
            "CPU 与显卡不能共同进行一次训练：{all}"
        ))
        .at_item("--device")
        .mend(Text::fixed(
            "name GPUs only, or workers of the CPU only",
            "请只写显卡，或只写 CPU 的工作单元",
        )));
    }
    let again = words.iter().enumerate().find(|(at, word)| words[..*at].contains(word));
    let Some((_, word)) = again else { return Ok(()) };
    Err(UserError::bad_input(text!("The device {word} is named twice", "设备 {word} 写了两次"))
        .at_item("--device")
        .mend(Text::fixed("name each device once", "每个设备只写一次")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_workers_are_one_choice() {
        let chosen = choose("cpu:0, cpu:1,cpu:2").unwrap();
        let words: Vec<String> = chosen.all().map(|one| one.report.word()).collect();
        assert_eq!(words, ["cpu:0", "cpu:1", "cpu:2"]);
        assert!(chosen.by_name && chosen.shares_memory());
        assert_eq!(choose("cpu").unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_work_together_is_refused() {
        for wrong in ["cpu:0,cpu:0", "cpu,cpu:0", "cpu:0,", "cpu:0,auto,cpu:1x", "cpu:64,cpu:1", ","] {
            assert!(choose(wrong).is_err(), "{wrong}");
        }
        let error = choose("cpu:1,cpu:1").err().unwrap();
        assert!(error.what.en.contains("cpu:1") && error.mend.is_some());
    }

    #[test]
    fn the_command_line_goes_before_the_run_file() {
        let wanted = ["cpu:0".to_owned(), "cpu:1".to_owned()];
        let named = choose("cpu").unwrap();
        assert_eq!(for_run(&named, &["cuda:0".into(), "cuda:1".into()]).unwrap().count(), 1);
        assert_eq!(for_run(&named, &wanted).unwrap().count(), 2);
        let three = choose("cpu:0,cpu:1,cpu:2").unwrap();
        assert_eq!(for_run(&three, &wanted).unwrap().count(), 3);
        let free = Chosen { by_name: false, ..named };
        assert_eq!(for_run(&free, &wanted).unwrap().count(), 2);
        assert_eq!(for_run(&free, &[]).unwrap().count(), 1);
        let strange = for_run(&free, &["gpu".into()]).err().unwrap();
        assert_eq!(strange.place.item.as_deref(), Some("train.devices"));
    }
}
