//! `torch.save` of a dictionary of f32 tensors, as PyTorch 1.6 and later write it: a zip archive with the pickle
//! `data.pkl` (protocol 2) and one file a storage.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use protocol::{Result, Text, UserError};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Name, shape and elements (row-major) of a tensor.
pub type TorchTensor = (String, Vec<usize>, Vec<f32>);

/// Writes a file that `torch.load` reads.
///
/// # Errors
/// When the file cannot be written.
pub fn write_torch(path: &Path, tensors: &[TorchTensor]) -> Result<()> {
    archive(path, tensors)
        .map_err(|err| UserError::io(Text::fixed("write the PyTorch file", "写入 PyTorch 文件"), path, &err))
}

fn archive(path: &Path, tensors: &[TorchTensor]) -> std::io::Result<()> {
    let mut archive = ZipWriter::new(File::create(path)?);
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    let mut file = |name: &str, bytes: &[u8]| {
        archive.start_file(format!("archive/{name}"), options)?;
        archive.write_all(bytes)
    };
    file("data.pkl", &pickle(tensors))?;
    file("byteorder", b"little")?;
    for (key, (.., elements)) in tensors.iter().enumerate() {
        file(&format!("data/{key}"), bytemuck::cast_slice(elements))?;
    }
    file("version", b"3\n")?;
    archive.finish()?.sync_all()
}

fn pickle(tensors: &[TorchTensor]) -> Vec<u8> {
    let mut out = Pickle(vec![0x80, 2]);
    out.global("collections", "OrderedDict");
    out.0.extend(b")R(");
    for (key, (name, shape, elements)) in tensors.iter().enumerate() {
        out.text(name);
        out.global("torch._utils", "_rebuild_tensor_v2");
        // The storage: a persistent id that is a tuple.
        out.0.extend(b"((");
        out.text("storage");
        out.global("torch", "FloatStorage");
        out.text(&key.to_string());
        out.text("cpu");
        out.number(elements.len());
        out.0.extend(b"tQ");
        out.number(0);
        out.tuple(shape);
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        out.tuple(&strides);
        // requires_grad, and hooks: an empty dictionary of the same kind.
        out.0.push(0x89);
        out.global("collections", "OrderedDict");
        out.0.extend(b")RtR");
    }
    out.0.extend(b"u.");
    out.0
}

struct Pickle(Vec<u8>);

impl Pickle {
    fn global(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// An integer of any size: LONG1 with eight bytes, the sign among them.
    fn number(&mut self, number: usize) {
        match i32::try_from(number) {
            Ok(small) => {
                self.0.push(b'J');
                self.0.extend(small.to_le_bytes());
            }
            Err(_) => {
                self.0.extend([0x8a, 8]);
                self.0.extend((number as u64).to_le_bytes());
            }
        }
    }

    fn tuple(&mut self, numbers: &[usize]) {
        self.0.push(b'(');
        numbers.iter().for_each(|number| self.number(*number));
        self.0.push(b't');
    }
}
