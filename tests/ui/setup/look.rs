//! Pictures, for looking at.

use protocol::Language;
use ui::action::Action;
use ui::panels::{PanelInfo, method, model, settings};
use ui::persisted::Preferences;

use super::{Setup, fixture, with_model};
use crate::support::Window;

fn shoot(
    name: &str,
    window: &Window,
    panel: &PanelInfo,
    config: Option<protocol::RunConfig>,
    steps: &[&str],
    expert: bool,
) {
    let mut setup = Setup::new(window, fixture::engine(fixture::LAYERS), panel, config);
    let preferences = Preferences { expert, ..setup.harness.state().state().preferences.clone() };
    setup.harness.state().push(Action::Preferences(Box::new(preferences)));
    if name.starts_with("settings") {
        setup.engine.tell(fixture::ready(Some(protocol::Text::fixed(
            "An NVIDIA driver is there, but CUDA's kernel compiler (NVRTC) is not; computing on the CPU (to use the GPU: run `pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12` and start again)",
            "已有 NVIDIA 驱动，但缺少 CUDA 内核编译器（NVRTC）；将使用 CPU 计算（若要使用显卡：运行 `pip install nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12` 后重新启动）",
        ))));
    }
    setup.settle();
    for step in steps {
        setup.click(step);
    }
    let dir = std::env::var("LOOK").unwrap_or_else(|_| std::env::temp_dir().display().to_string());
    setup.harness.render().unwrap().save(format!("{dir}/{name}.png")).unwrap();
}

#[test]
#[ignore = "for looking at"]
fn look() {
    for (dark, language, word) in [(true, Language::English, "en"), (false, Language::Chinese, "zh")] {
        let window = || Window { dark, language, ..Window::default() };
        shoot(&format!("model-empty-{word}"), &window(), &model::PANEL, None, &[], false);
        shoot(&format!("model-{word}"), &window(), &model::PANEL, Some(with_model()), &[], word == "zh");
        let mut wrong = with_model();
        wrong.method.params.insert("targets".into(), serde_json::json!([]));
        shoot(&format!("wrong-{word}"), &window(), &method::PANEL, Some(wrong), &[], false);
        let narrow = Window { size: [1000.0, 700.0], scale: 2.0, ..window() };
        shoot(&format!("narrow-{word}"), &narrow, &method::PANEL, Some(with_model()), &[], false);
        shoot(&format!("narrow-model-{word}"), &narrow, &model::PANEL, Some(with_model()), &[], true);
        shoot(&format!("method-{word}"), &window(), &method::PANEL, Some(with_model()), &[], false);
        let mut edited = with_model();
        edited.method.params = serde_json::json!({
            "targets": ["q", "model.layers.3.*"], "rank_pattern": {"model.layers.3.*": 32}, "rank": 8, "odd": 3
        })
        .as_object()
        .unwrap()
        .clone();
        edited.train.samples = vec!["Who are you?".into()];
        shoot(&format!("method-expert-{word}"), &window(), &method::PANEL, Some(edited.clone()), &[], true);
        let unfold = if word == "en" { "Unfold" } else { "展开" };
        let fold = if word == "en" { "Fold" } else { "折叠" };
        let path = "model.layers.0–23";
        let each = if word == "en" { "each layer" } else { "逐层" };
        let steps = [
            format!("{fold} {path}.self_attn"),
            format!("{unfold} {each} · {path}"),
            format!("{unfold} model.layers.1"),
            format!("{unfold} model.layers.1.mlp"),
        ];
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        shoot(&format!("tree-{word}"), &window(), &method::PANEL, Some(edited.clone()), &steps, false);
        let tab = if word == "en" { "Optimizer and schedule" } else { "优化器与调度" };
        shoot(&format!("training-{word}"), &window(), &method::PANEL, Some(edited.clone()), &[tab], false);
        shoot(&format!("training-expert-{word}"), &window(), &method::PANEL, Some(edited), &[tab], true);
        shoot(&format!("settings-{word}"), &window(), &settings::PANEL, None, &[], false);
    }
}
