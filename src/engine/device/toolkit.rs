//! Finds NVRTC (NVIDIA's kernel compiler, a library) and the headers that kernels include.
//!
//! The driver brings neither. They come with the CUDA toolkit, with the `nvidia-*` wheels of a Python
//! environment, with conda packages, or in a folder `cuda/` beside this program. NVRTC and headers are always
//! taken from one place: those of two versions do not go together.

use std::path::{Path, PathBuf};

/// What cubecl's kernels include (`cubecl-cpp` 0.11.3: `cuda/ty.rs`, `cuda/builtin.rs`, `cuda/tma.rs`), and the
/// two headers that those include from parts of the toolkit which may be missing when they are there:
/// `mma.h` → `crt/mma.h` (wheel `nvidia-cuda-nvcc`, or `nvidia-cuda-crt` for CUDA 13) and
/// `cooperative_groups.h` → `nv/target` (wheel `nvidia-cuda-cccl`).
pub const HEADERS: [&str; 7] =
    ["cuda_fp16.h", "cuda_bf16.h", "mma.h", "crt/mma.h", "cooperative_groups.h", "nv/target", "cuda/barrier"];

/// Wheels of CUDA 12 that hold headers; each has a folder of its own under `site-packages/nvidia`.
const WHEELS: [&str; 4] = ["cuda_runtime", "cuda_nvcc", "cuda_cccl", "cuda_crt"];

/// Where to look. Nothing else is asked, so that a test can make up a machine.
#[derive(Clone, Debug, Default)]
pub struct SearchRoots {
    /// The folder of the program: a package puts the toolkit into its `cuda/`.
    pub program: Option<PathBuf>,
    /// `CUDA_PATH`.
    pub cuda_path: Option<PathBuf>,
    /// `/`: the folder that holds `usr/local/cuda` and the like.
    pub system: PathBuf,
    /// `VIRTUAL_ENV`, `CONDA_PREFIX`: environments that are active.
    pub environments: Vec<PathBuf>,
    /// The newest CUDA that the driver serves, as `1000 · major + 10 · minor`, where known. A newer NVRTC writes
    /// PTX that this driver refuses.
    pub driver: Option<u32>,
}

/// A kernel compiler and its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolkit {
    pub root: PathBuf,
    /// `libnvrtc.so` under whatever name.
    pub nvrtc: PathBuf,
    /// Folders that hold all of [`HEADERS`], each in itself or in its `cccl/`; the first wins.
    pub includes: Vec<PathBuf>,
    /// As [`SearchRoots::driver`]; none where the files do not tell.
    pub version: Option<u32>,
}

/// Why there is no toolkit: the place that came nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No trace of a toolkit anywhere.
    Everything,
    /// NVRTC is here and these headers are not.
    Headers { root: PathBuf, names: Vec<&'static str> },
    /// Complete, and too new for the driver.
    TooNew { root: PathBuf, version: u32, driver: u32 },
}

impl SearchRoots {
    /// This machine and this process's environment.
    pub fn of_this_machine(driver: Option<u32>) -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            program: std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)),
            cuda_path: folder("CUDA_PATH"),
            system: PathBuf::from("/"),
            environments: ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder).collect(),
            driver,
        }
    }

    /// Places in the order in which they are tried.
    fn places(&self) -> Vec<Place> {
        let beside = self.program.iter().map(|folder| Place::toolkit(&folder.join("cuda")));
        let named = self.cuda_path.iter().map(|root| Place::toolkit(root));
        let usual = self.usual_roots().into_iter().map(|root| Place::toolkit(&root));
        let wheels = self.environments.iter().flat_map(|root| wheels(root));
        let conda = self.environments.iter().map(|root| Place::toolkit(root));
        beside.chain(named).chain(usual).chain(wheels).chain(conda).collect()
    }

    fn usual_roots(&self) -> Vec<PathBuf> {
        let local = self.system.join("usr/local");
        let mut versions: Vec<_> =
            children(&local).into_iter().filter_map(|path| Some((version_of(&path)?, path))).collect();
        versions.sort();
        let newest_first = versions.into_iter().rev().map(|(_, path)| path);
        let mut roots = vec![local.join("cuda")];
        roots.extend(newest_first);
        roots.extend([self.system.join("opt/cuda"), self.system.join("usr")]);
        roots
    }
}

/// `…/cuda-12.8` → 12080.
fn version_of(path: &Path) -> Option<u32> {
    parse_version(path.file_name()?.to_str()?.strip_prefix("cuda-")?)
}

/// `12.8` or `12.8.93` → 12080; `12` → 12000.
fn parse_version(words: &str) -> Option<u32> {
    let mut parts = words.split('.');
    let major: u32 = parts.next()?.parse().ok()?;
    let minor: u32 = parts.next().map_or(Some(0), |minor| minor.parse().ok())?;
    major.checked_mul(1000)?.checked_add(minor.checked_mul(10)?)
}

/// 12080 → `12.8`.
pub fn version_name(version: u32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// One place that may hold a toolkit.
struct Place {
    root: PathBuf,
    libraries: Vec<PathBuf>,
    includes: Vec<PathBuf>,
}

impl Place {
    /// As NVIDIA's installer, Linux distributions and conda lay it out.
    fn toolkit(root: &Path) -> Self {
        let arch = std::env::consts::ARCH;
        let target = root.join(format!("targets/{arch}-linux"));
        let server = root.join("targets/sbsa-linux");
        Self {
            root: root.to_owned(),
            libraries: vec![
                root.join("lib64"),
                target.join("lib"),
                server.join("lib"),
                root.join("lib"),
                root.join(format!("lib/{arch}-linux-gnu")),
            ],
            includes: vec![target.join("include"), server.join("include"), root.join("include")],
        }
    }

    fn check(&self, driver: Option<u32>) -> Result<Toolkit, Missing> {
        let Some(nvrtc) = self.libraries.iter().find_map(|folder| nvrtc_in(folder)) else {
            return Err(Missing::Everything);
        };
        let (includes, names) = self.choose_includes();
        if !names.is_empty() {
            return Err(Missing::Headers { root: self.root.clone(), names });
        }
        let version = nvrtc_version(&nvrtc);
        if let (Some(version), Some(driver)) = (version, driver)
            && version > driver
        {
            return Err(Missing::TooNew { root: self.root.clone(), version, driver });
        }
        Ok(Toolkit { root: self.root.clone(), nvrtc, includes, version })
    }

    /// The folders that are needed for all headers, and the headers that none of them has.
    fn choose_includes(&self) -> (Vec<PathBuf>, Vec<&'static str>) {
        let mut chosen: Vec<PathBuf> = Vec::new();
        let mut lacking = Vec::new();
        for header in HEADERS {
            match self.includes.iter().find(|folder| has_header(folder, header)) {
                Some(folder) if !chosen.contains(folder) => chosen.push(folder.clone()),
                Some(_) => {}
                None => lacking.push(header),
            }
        }
        (chosen, lacking)
    }
}

/// cubecl gives the compiler `<CUDA_PATH>/include` and `<CUDA_PATH>/include/cccl`.
fn has_header(include: &Path, header: &str) -> bool {
    include.join(header).is_file() || include.join("cccl").join(header).is_file()
}

/// Headers that `<root>/include` lacks.
pub fn lacking(root: &Path) -> Vec<&'static str> {
    let include = root.join("include");
    HEADERS.into_iter().filter(|header| !has_header(&include, header)).collect()
}

/// Places made of the `nvidia-*` wheels of a Python environment. Those of CUDA 13 share one root (`cu13`).
fn wheels(environment: &Path) -> Vec<Place> {
    let pythons = ["lib", "lib64"].into_iter().flat_map(|lib| children(&environment.join(lib)));
    let sites =
        pythons.filter(|path| name_starts(path, "python3")).map(|path| path.join("site-packages/nvidia"));
    let mut places = Vec::new();
    for site in sites {
        let mut shared: Vec<_> =
            children(&site).into_iter().filter(|path| name_starts(path, "cu1")).collect();
        shared.sort();
        places.extend(shared.iter().rev().map(|root| Place::toolkit(root)));
        places.push(Place {
            libraries: vec![site.join("cuda_nvrtc/lib")],
            includes: WHEELS.iter().map(|wheel| site.join(wheel).join("include")).collect(),
            root: site,
        });
    }
    places
}

fn name_starts(path: &Path, start: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(start))
}

/// Entries of a folder; none where it cannot be read.
fn children(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect()
}

/// `libnvrtc.so`, else the `libnvrtc.so.N` of the highest version.
fn nvrtc_in(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join("libnvrtc.so");
    if plain.is_file() {
        return Some(plain);
    }
    let version = |path: &Path| parse_version(path.file_name()?.to_str()?.strip_prefix("libnvrtc.so.")?);
    let named = children(folder).into_iter().filter(|path| path.is_file());
    named.filter_map(|path| Some((version(&path)?, path))).max().map(|(_, path)| path)
}

/// Libraries without which NVRTC does not work; they lie beside it.
pub fn builtins_of(nvrtc: &Path) -> Vec<PathBuf> {
    let real = nvrtc.canonicalize().unwrap_or_else(|_| nvrtc.to_owned());
    let folder = real.parent().unwrap_or(Path::new("."));
    let mut found: Vec<_> =
        children(folder).into_iter().filter(|path| name_starts(path, "libnvrtc-builtins.so.")).collect();
    found.sort();
    found
}

/// The version of NVRTC: its own name may only tell the major one, that of its builtins tells both.
fn nvrtc_version(nvrtc: &Path) -> Option<u32> {
    let builtins = builtins_of(nvrtc);
    let versions = builtins
        .iter()
        .filter_map(|path| parse_version(path.file_name()?.to_str()?.strip_prefix("libnvrtc-builtins.so.")?));
    versions.max()
}

/// What to type where Python is at hand: wheels of one version, which the driver serves. The last of CUDA 12 is
/// 12.9; drivers of CUDA 13 serve it too.
pub fn install_command(driver: Option<u32>) -> String {
    let minor = driver.map_or(8, |driver| if driver < 13_000 { driver % 1000 / 10 } else { 9 }).min(9);
    let wheels =
        ["nvrtc", "runtime", "nvcc", "cccl"].map(|part| format!("\"nvidia-cuda-{part}-cu12==12.{minor}.*\""));
    format!("pip install {}", wheels.join(" "))
}

/// The first usable toolkit.
///
/// # Errors
/// Says what the most promising place lacks.
pub fn find(roots: &SearchRoots) -> Result<Toolkit, Missing> {
    let mut nearest = Missing::Everything;
    for place in roots.places() {
        match place.check(roots.driver) {
            Ok(toolkit) => return Ok(toolkit),
            Err(missing) if missing.nearness() > nearest.nearness() => nearest = missing,
            Err(_) => {}
        }
    }
    Err(nearest)
}

impl Missing {
    fn nearness(&self) -> u8 {
        match self {
            Self::Everything => 0,
            Self::Headers { .. } => 1,
            Self::TooNew { .. } => 2,
        }
    }
}
