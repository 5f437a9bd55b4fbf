//! A program for a bare controller that verifies one unlock token. It is built and measured, not run: it links only if
//! nothing in it needs an operating system or an allocator, and its size is the verifier's.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use doorward_lock::jws::Message;
use doorward_lock::keys::{Keyset, PublicKey, jwk};
use doorward_lock::verify::{Known, Moment};
use doorward_lock::wire::Address;

/// What the controller's start-up code jumps to.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    loop {
        black_box(believe(black_box(""), black_box(""), black_box(["", ""])));
    }
}

/// Whether a lock with this root key and keyset believes this token.
#[inline(never)]
fn believe(token: &str, keyset: &str, [x, y]: [&str; 2]) -> bool {
    let address = Address {
        iss: black_box("https://doorward.example"),
        org: black_box("org_0190a000000070008000000000000001"),
        aud: black_box("lock_0190a000000070008000000000000002"),
    };
    let Some(root) = PublicKey::from_jwk(&jwk(x, y)) else {
        return false;
    };
    let Ok(keyset) = Keyset::read(keyset, &root, address.iss) else {
        return false;
    };
    let known = Known {
        address,
        keyset: &keyset,
        ctr: black_box(0),
        min_rev: 0,
        moment: Moment {
            boot: 1,
            mono: black_box(100),
            now: None,
            floor: 0,
        },
    };
    Message::parse(token).is_ok_and(|message| known.accept(&message).is_ok())
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
