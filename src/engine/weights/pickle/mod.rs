//! `pytorch_model.bin`: PyTorch's pickled checkpoints, read without executing anything.
//!
//! A pickle is a program for a stack machine whose instructions may call any Python function. Ours knows no
//! function at all: [`machine`] interprets the few instructions that a dictionary of tensors needs and
//! recognises six names ([`Callable`](value::Callable)); every other instruction or name ends the reading with
//! an error. [`torch`] turns the outcome into tensors, whose bytes stay in the mapped file.

mod container;
mod machine;
mod opcode;
mod rebuild;
mod torch;
mod value;
mod write;

use protocol::{Result, Text, UserError};

use super::mapping::Mapping;
use super::stored::Stored;

pub use write::{TorchTensor, write_torch};

/// Every tensor of a checkpoint written by `torch.save`, in its order.
///
/// # Errors
/// Anything but a dictionary of dense tensors: the callable or instruction by name, with the file.
pub fn read(file: &Mapping) -> Result<Vec<(String, Stored)>> {
    torch::read(file).map_err(|refusal| refusal.in_file(file.path()))
}

/// What cannot be read, with the usual way out.
fn refused(reason: Text) -> UserError {
    UserError::bad_input(Text::new(
        format!("The PyTorch file is refused: {}", reason.en),
        format!("拒绝读取该 PyTorch 文件：{}", reason.zh),
    ))
    .mend(Text::fixed(
        "use a safetensors copy of the model, or save its state_dict() again with torch.save",
        "请使用 safetensors 格式的模型，或用 torch.save 重新保存其 state_dict()",
    ))
}
