//! PDF: only a password that is needed to open it counts (ISO 32000-1 §7.6). Permissions ask honest programs to refuse printing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{How, Kind, WhyNot};

pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
    // The trailer is never compressed in such a way that this key would not show.
    if memchr::memmem::find(file, b"/Encrypt").is_none() {
        return Err(WhyNot::NotProtected);
    }
    // The library reads hostile files; a defect in it must not cost more than this one file.
    catch_unwind(AssertUnwindSafe(|| opened(file))).unwrap_or(Err(WhyNot::Damaged))
}

fn opened(file: &[u8]) -> Result<How, WhyNot> {
    // Reads the trailer, and the page count if the empty password opens it: cheap, and enough for most.
    let metadata = lopdf::Document::load_metadata_mem(file).map_err(|_| WhyNot::Damaged)?;
    if !metadata.encrypted {
        return Err(WhyNot::NotProtected);
    }
    if metadata.page_count > 0 {
        return Err(WhyNot::OpensWithoutPassword);
    }
    let options = lopdf::LoadOptions { max_decompressed_size: Some(16 << 20), ..lopdf::LoadOptions::default() };
    let document = lopdf::Document::load_mem_with_options(file, options).map_err(|_| WhyNot::Damaged)?;
    if document.was_encrypted() {
        return Err(WhyNot::OpensWithoutPassword);
    }
    if !document.trailer.has(b"Encrypt") {
        return Err(WhyNot::NotProtected);
    }
    Ok(strength(&document))
}

/// Keys of 40 bits are weak.
fn strength(document: &lopdf::Document) -> How {
    let version = document.get_encrypted().ok().and_then(|d| d.get(b"V").ok()).and_then(|v| v.as_i64().ok());
    if matches!(version, Some(0 | 1)) { How::weak(Kind::Pdf) } else { How::strong(Kind::Pdf) }
}
