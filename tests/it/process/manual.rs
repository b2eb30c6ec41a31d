//! `bandprobe completions` and `bandprobe man`.

use super::bandprobe;

#[test]
fn completions_name_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = bandprobe(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        for command in ["demo", "run", "once", "probe", "targets", "check", "report", "spool", "completions", "man"] {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
        assert!(ended.stdout.contains("splay"), "{shell}: options too");
    }
    assert_eq!(bandprobe(&["completions", "no-such-shell"]).code, Some(2));
}

#[test]
fn every_command_has_a_page() {
    for (words, title, says) in [
        (&["man"][..], "BANDPROBE", "bandprobe\\-once(1)"),
        (&["man", "once"], "BANDPROBE-ONCE", "\\fB\\-\\-strict\\fR"),
        (&["man", "spool"], "BANDPROBE-SPOOL", "bandprobe\\-spool\\-status(1)"),
        (&["man", "spool", "status"], "BANDPROBE-SPOOL-STATUS", "Show what is waiting"),
        (&["man", "man"], "BANDPROBE-MAN", ".SH EXAMPLES\n"),
        (&["man", "targets"], "BANDPROBE-TARGETS", ".SH EXAMPLES\n"),
    ] {
        let ended = bandprobe(words);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let heading = format!(".TH {title} 1 \" \" \"bandprobe {}\" \"bandprobe manual\"\n", env!("CARGO_PKG_VERSION"));
        assert!(ended.stdout.contains(&heading), "{heading}: {}", ended.stdout);
        assert!(ended.stdout.contains(says) && !ended.stdout.contains("EXTRA"), "{words:?}: {}", ended.stdout);
    }
    let ended = bandprobe(&["man", "spool", "no-such-command"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("no command `no-such-command`; the commands are status"), "{}", ended.stderr);
}
