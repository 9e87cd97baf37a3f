//! What cannot be handed over says so, with what to do, and leaves nothing.

use protocol::HandoffRequest;

use super::{LORA, request, write};
use crate::runs::support::Project;

#[test]
fn what_others_cannot_train_alike_is_refused_in_words() {
    let project = Project::new();
    let method = |kind: &str| format!("max_steps = 2\n[method]\nkind = \"{kind}\"\n");
    let with = |line: &str| LORA.replace("max_steps = 5", &format!("max_steps = 5\n{line}"));
    let model = |line: &str| LORA.replace("[model]\ndtype = \"f32\"", &format!("[model]\n{line}"));
    let lora = |line: &str| LORA.replace("rank = 3", &format!("rank = 3\n{line}"));
    let cases = [
        (method("bitfit"), "`bitfit`", "lora, dora, ia3"),
        (method("full"), "`full`", "lora, dora, ia3"),
        (method("prefix"), "`prefix`", "train it here"),
        (with("optimizer = \"lion\""), "`lion`", "adamw"),
        (model("dtype = \"f16\""), "f16", "bf16"),
        (model("quantization = \"int8\""), "int8", "nf4"),
        (model("overrides = { rope_theta = 5000.0 }"), "config.json", "config.json"),
        (lora("init = \"pissa\""), "`pissa`", "default"),
        (lora("modules_to_save = [\"embed_tokens\"]"), "beside the matrices", "modules_to_save"),
    ];
    for (settings, what, mend) in cases {
        let error = write(&request(&project, &settings, "torchrun", "out")).expect_err(&settings);
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.what.en.contains(what), "{error}");
        assert!(error.mend.as_ref().unwrap().en.contains(mend), "{error}");
        assert!(!project.path("out").exists());
    }
}

#[test]
fn machines_must_have_something_to_do() {
    let project = Project::new();
    // 2 rows and 2 of them accumulated.
    for (nodes, cards, word) in
        [(0, 2, "0 machines"), (1, 0, "0 cards"), (3, 2, "4 rows"), (u64::MAX, 2, "cards")]
    {
        let request = HandoffRequest { nodes, cards, ..request(&project, LORA, "torchrun", "out") };
        let error = write(&request).unwrap_err();
        assert!(error.what.en.contains(word), "{error}");
    }
    let unknown = write(&request(&project, LORA, "torchrum", "out")).unwrap_err();
    assert!(unknown.mend.unwrap().en.contains("`torchrun`"));
    std::fs::create_dir(project.path("taken")).unwrap();
    project.write("taken/file", "");
    let taken = write(&request(&project, LORA, "torchrun", "taken")).unwrap_err();
    assert!(taken.what.en.contains("not empty"), "{taken}");
}
