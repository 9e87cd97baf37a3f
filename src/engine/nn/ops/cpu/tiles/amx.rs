//! Products on the tile registers of Intel's Advanced Matrix Extensions (Intel 64 manual, volume 1, chapter 18). Rust has no
//! stable intrinsics for them, hence assembly.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::pack::{Block, LANES, Line, Panel, Tile};
use super::sums::assert_square;

fn supported() -> bool {
    /// Leaf 7, `edx`: `AMX-BF16` and `AMX-TILE`.
    const WANTED: u32 = 1 << 22 | 1 << 24;
    __cpuid_count(0, 0).eax >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED && permitted()
}

/// Asks Linux for the tile registers, which a process must (`Documentation/arch/x86/xstate.rst`).
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: it reads no memory; a kernel that does not know it refuses.
    let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) };
    refused == 0
}

/// Other systems were not tried.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// `LDTILECFG`'s memory: tiles of 16 lines of 64 bytes.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_a_line: [u16; 16],
    lines: [u8; 16],
}

static HERE: LazyLock<bool> = LazyLock::new(supported);

/// Whether the processor has AMX for bf16, and the system lets this process use it.
pub fn here() -> bool {
    *HERE
}

/// The tile registers of this thread, ready for use while it lives. It stays in its thread.
pub struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// # Panics
    /// Without AMX.
    pub fn configured() -> Self {
        const REGISTERS: usize = 8;
        assert!(here(), "a machine with AMX");
        let mut shape =
            Shape { palette: 1, start_row: 0, reserved: [0; 14], bytes_a_line: [0; 16], lines: [0; 16] };
        shape.bytes_a_line[..REGISTERS].fill(size_of::<Line>() as u16);
        shape.lines[..REGISTERS].fill(LANES as u8);
        #[expect(unsafe_code, reason = "tile registers")]
        // SAFETY: the machine has them (asserted); the shape is one that palette 1 has.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &shape, options(nostack, readonly));
        }
        Self(PhantomData)
    }

    /// Puts the product of `a` and `b` into the square at the beginning of `sums`, whose rows are `wide` apart, or adds it
    /// if sums have `begun`.
    ///
    /// # Panics
    /// If the blocks are not of the same steps, or the square is not whole.
    pub fn add_product(&self, a: Panel<'_>, b: &[Block], sums: &mut [f32], wide: usize, begun: bool) {
        assert_square(a, b, sums, wide);
        let lower = sums[LANES * wide..].as_mut_ptr();
        #[expect(unsafe_code, reason = "tile registers")]
        // SAFETY: the registers are shaped as `Tile` is (there is one of these); as many blocks of each are read as there
        // are (a panel has its lanes in all of its blocks); the square lies within `sums` (asserted), and its quarters are
        // read and written in rows of 64 bytes.
        unsafe {
            asm!(
                "test {begun}, {begun}",
                "jnz 2f",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "jmp 3f",
                "2:",
                "tileloadd tmm0, [{upper} + {row}]",
                "tileloadd tmm1, [{upper} + {row} + 64]",
                "tileloadd tmm2, [{lower} + {row}]",
                "tileloadd tmm3, [{lower} + {row} + 64]",
                "3:",
                "tileloadd tmm4, [{a} + {lane}]",
                "tileloadd tmm6, [{b} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {line} + {tile}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a2} + {lane}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, {block}",
                "add {a2}, {block}",
                "add {b}, 2*{tile}",
                "dec {blocks}",
                "jnz 3b",
                "tilestored [{upper} + {row}], tmm0",
                "tilestored [{upper} + {row} + 64], tmm1",
                "tilestored [{lower} + {row}], tmm2",
                "tilestored [{lower} + {row} + 64], tmm3",
                begun = in(reg) usize::from(begun),
                upper = in(reg) sums.as_mut_ptr(),
                lower = in(reg) lower,
                row = in(reg) size_of::<f32>() * wide,
                line = in(reg) size_of::<Line>(),
                a = inout(reg) a.as_ptr() => _,
                a2 = inout(reg) a.as_ptr().add(LANES * a.lane) => _,
                lane = in(reg) size_of::<u16>() * a.lane,
                block = in(reg) size_of::<u16>() * a.block,
                b = inout(reg) b.as_ptr() => _,
                blocks = inout(reg) a.blocks => _,
                tile = const size_of::<Tile>(),
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "tile registers")]
        // SAFETY: the machine has them: there is one of these.
        unsafe {
            asm!("tilerelease", options(nostack, nomem));
        }
    }
}
