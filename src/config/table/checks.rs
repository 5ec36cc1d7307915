//! What a text value must look like, in Redis's words when it does not.

type Check = Result<(), &'static str>;

fn check(holds: bool, otherwise: &'static str) -> Check {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn is_base_name(value: &[u8]) -> bool {
    !value.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

pub fn dbfilename(value: &[u8]) -> Check {
    check(is_base_name(value), "dbfilename can't be a path, just a filename")
}

pub fn appendfilename(value: &[u8]) -> Check {
    check(!value.is_empty(), "appendfilename can't be empty")?;
    check(is_base_name(value), "appendfilename can't be a path, just a filename")
}

pub fn appenddirname(value: &[u8]) -> Check {
    check(!value.is_empty(), "appenddirname can't be empty")?;
    check(is_base_name(value), "appenddirname can't be a path, just a dirname")
}

pub fn announced_hostname(value: &[u8]) -> Check {
    const LENGTH_MAX: usize = 255;
    check(value.len() <= LENGTH_MAX, "Hostnames must be less than 256 characters")?;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    check(value.iter().all(allowed), "Hostnames may only contain alphanumeric characters, hyphens or dots")
}

/// `{name}` stands for a variable, `{{` for a brace; the title must not come out empty.
pub fn proc_title_template(value: &[u8]) -> Check {
    check(title_is_visible(value) == Some(true), "template format is invalid or contains unknown variables")
}

fn title_is_visible(mut template: &[u8]) -> Option<bool> {
    let mut visible = false;
    while let Some((&byte, rest)) = template.split_first() {
        template = rest;
        match (byte, rest.first()) {
            (b'{', Some(b'{')) => {
                visible = true;
                template = &rest[1..];
            }
            (b'{', _) => {
                let end = memchr::memchr(b'}', rest)?;
                visible |= match &rest[..end] {
                    b"title" | b"server-mode" | b"unixsocket" => false,
                    b"listen-addr" | b"config-file" | b"port" | b"tls-port" => true,
                    _ => return None,
                };
                template = &rest[end + 1..];
            }
            _ => visible |= byte != b' ',
        }
    }
    Some(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles() {
        for good in ["{title} {listen-addr} {server-mode}", "--my--title--template", "a{{b", "{port}"] {
            assert_eq!(proc_title_template(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", " ", "{title}", "{nope} x", "{port", "{"] {
            assert!(proc_title_template(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
