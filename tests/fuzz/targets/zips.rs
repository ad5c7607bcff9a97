//! ZIP archives by hand (APPNOTE 6.3 §4.3), every member stored: what is in them and how it is locked is known.

/// How a member is locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Locked<'a> {
    No,
    /// By a password, the old and weak way (§6.1).
    Weakly(&'a str),
    /// As AE-2 has it; what stands there is no ciphertext of anything.
    Strongly,
}

pub struct Member<'a> {
    pub name: String,
    pub locked: Locked<'a>,
    pub content: Vec<u8>,
}

pub fn archive(members: &[Member<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let offset = out.len() as u32;
        let flags = u16::from(member.locked != Locked::No);
        let method: u16 = if member.locked == Locked::Strongly { 99 } else { 0 };
        let extra: &[u8] = if method == 99 { b"\x01\x99\x07\x00\x02\x00AE\x03\x00\x00" } else { b"" };
        let check = if method == 99 { 0 } else { crc(&member.content) };
        let content = match member.locked {
            Locked::No => member.content.clone(),
            Locked::Weakly(password) => zip_crypto(password, check, &member.content),
            Locked::Strongly => [&[0xa7; 28][..], &member.content].concat(),
        };
        let mut common = Vec::new();
        common.extend_from_slice(&20u16.to_le_bytes());
        common.extend_from_slice(&flags.to_le_bytes());
        common.extend_from_slice(&method.to_le_bytes());
        common.extend_from_slice(&[0; 4]);
        common.extend_from_slice(&check.to_le_bytes());
        common.extend_from_slice(&(content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(member.content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(member.name.len() as u16).to_le_bytes());
        common.extend_from_slice(&(extra.len() as u16).to_le_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(member.name.as_bytes());
        out.extend_from_slice(extra);
        out.extend_from_slice(&content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(member.name.as_bytes());
        directory.extend_from_slice(extra);
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

fn step(crc: u32, octet: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(octet), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
}

fn crc(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0u32, |c, b| step(c, *b))
}

/// PKWARE's old stream cipher, twelve octets of header in front of which the last two are the check's.
fn zip_crypto(password: &str, check: u32, content: &[u8]) -> Vec<u8> {
    let mut keys = [0x1234_5678u32, 0x2345_6789, 0x3456_7890];
    let update = |keys: &mut [u32; 3], octet: u8| {
        keys[0] = step(keys[0], octet);
        keys[1] = keys[1].wrapping_add(keys[0] & 0xff).wrapping_mul(134_775_813).wrapping_add(1);
        keys[2] = step(keys[2], (keys[1] >> 24) as u8);
    };
    password.bytes().for_each(|b| update(&mut keys, b));
    let head = [7, 1, 8, 2, 8, 1, 8, 2, 8, 4, (check >> 16) as u8, (check >> 24) as u8];
    head.iter()
        .chain(content)
        .map(|&octet| {
            let mix = (keys[2] | 2) & 0xffff;
            let pad = (mix.wrapping_mul(mix ^ 1) >> 8) as u8;
            update(&mut keys, octet);
            octet ^ pad
        })
        .collect()
}
