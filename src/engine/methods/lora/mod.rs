//! LoRA: low-rank adaptation (Hu et al. 2021, arXiv:2106.09685), with rank-stabilised scaling
//! (Kalajdzievski 2023, arXiv:2312.03732), DoRA (Liu et al. 2024, arXiv:2402.09353) and LoRA+
//! (Hayou et al. 2024, arXiv:2402.12354). Formulas and files: PEFT, `tuners/lora`.

mod adapter;
mod attach;
pub(super) mod delta;
mod files;
mod init;
mod params;
mod principal;
mod site;
mod slices;
mod stored;

use protocol::Text;

use super::Method;

pub const METHOD: Method = Method {
    id: "lora",
    name: Text::fixed("LoRA", "LoRA"),
    help: Text::fixed(
        "Freezes the model and learns two small matrices beside each chosen one. The usual choice",
        "冻结模型，在每个选中的矩阵旁学习两个小矩阵。通常选它",
    ),
    params: params::params,
    peft_type: Some("LORA"),
    attach: attach::attach,
    footprint: attach::footprint,
    load: files::load,
    shapes: files::shapes,
};
