"""Links, modes, owners, crashes and full disks: what a flag store does with the file itself, whatever is in it."""

import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback_daemon.errors import FlagError, Refused, Transient, UnknownOutcome
from rollback_daemon.flags.atomic_file import STEPS
from rollback_daemon.flags.file_store import FileStore
from rollback_daemon.flags.stores import STORES
from tests.flags.contract import NOBODY, Subject, is_root, run

WRITE = "store.write(sample.off, if_version=store.read(frozenset()).version)"
as_root = pytest.mark.skipif(not is_root(), reason="only root can give files away")


def failing(at: str, number: int) -> Callable[[str], None]:
    """Steps of which one fails as the system would."""

    def steps(step: str) -> None:
        if step == at:
            raise OSError(number, os.strerror(number))

    return steps


def write(flags: Subject, store: FileStore) -> None:
    store.write(flags.sample.off, if_version=store.read(frozenset()).version)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "flags"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_the_file_is_the_old_or_the_new_one(dotenv: Subject, step: str) -> None:
    """And the next write cleans up and succeeds."""
    killed = run(dotenv, WRITE, stop=step)
    assert killed.returncode == -9, killed.stderr
    renamed = step in STEPS[STEPS.index("renamed") :]
    assert dotenv.values() == (dotenv.sample.off if renamed else dotenv.sample.on)
    assert dotenv.text() == dotenv.sample.text or renamed
    dotenv.set(dotenv.sample.off)
    assert dotenv.values() == dotenv.sample.off
    assert leftovers(dotenv.path.parent) == []


@pytest.mark.parametrize("step", STEPS)
def test_killed_during_a_backup_the_next_one_is_whole(dotenv: Subject, step: str) -> None:
    """The flags were not touched, and half a copy never bears the name of a backup."""
    assert run(dotenv, "store.backup('one')", stop=step).returncode == -9
    assert dotenv.text() == dotenv.sample.text
    backup = Path(dotenv.store.backup("one"))
    assert backup.read_text() == dotenv.sample.text
    assert leftovers(dotenv.path.parent) == [backup.name]


def test_a_crash_leaves_nothing_that_others_may_read(dotenv: Subject) -> None:
    """A file for its owner alone stays so at every step."""
    dotenv.path.chmod(0o600)
    for step in ("created", "permitted", "written", "synced"):
        assert run(dotenv, WRITE, stop=step).returncode == -9
        (left,) = (path for path in dotenv.path.parent.iterdir() if path != dotenv.path)
        assert left.name == ".flags.rollbackd.tmp"
        assert stat.S_IMODE(left.stat().st_mode) == 0o600


@pytest.mark.parametrize("step", STEPS[: STEPS.index("renamed")])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EAGAIN, errno.EINTR, errno.EDQUOT])
def test_a_failure_that_may_pass_is_transient_and_changes_nothing(dotenv: Subject, step: str, number: int) -> None:
    """A full disk today is an empty one tomorrow."""
    with pytest.raises(Transient) as failure:
        write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=failing(step, number)))
    assert os.strerror(number).lower() in str(failure.value)
    assert dotenv.text() == dotenv.sample.text
    assert leftovers(dotenv.path.parent) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "let this user read it and write to its folder"),
        (errno.EROFS, "mount its file system for writing"),
        (errno.EBUSY, "mount the folder, not the file"),
        (errno.EPERM, "see that it is not immutable"),
    ],
)
def test_a_failure_that_stays_is_refused_with_its_remedy(dotenv: Subject, number: int, remedy: str) -> None:
    """The sentence names the file, the cause and the remedy."""
    with pytest.raises(Refused) as failure:
        write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=failing("synced", number)))
    assert str(dotenv.path) in str(failure.value)
    assert remedy in str(failure.value)
    assert dotenv.text() == dotenv.sample.text
    assert leftovers(dotenv.path.parent) == []


@pytest.mark.parametrize("step", ["renamed", "folder synced"])
def test_a_failure_after_the_replacement_is_an_unknown_outcome(dotenv: Subject, step: str) -> None:
    """The new content stands, but a power cut may take it."""
    with pytest.raises(UnknownOutcome, match="read it back"):
        write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=failing(step, errno.EIO)))
    assert dotenv.values() == dotenv.sample.off
    assert leftovers(dotenv.path.parent) == []


def replaced(path: Path, text: str) -> None:
    """As another program's atomic writer does it."""
    other = path.with_name("other.tmp")
    other.write_text(text)
    other.rename(path)


def rewritten(path: Path, text: str) -> None:
    """As an editor does it that writes in place."""
    path.write_text(text)


def touched_back(path: Path, text: str) -> None:
    """Written in place with its old time."""
    known = path.stat()
    path.write_text(text)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))


def same_size(path: Path, text: str) -> None:
    """A replacement that only its inode tells apart."""
    known = path.stat()
    replaced(path, path.read_text().swapcase())
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))


@pytest.mark.parametrize("stranger", [replaced, rewritten, touched_back, same_size])
@pytest.mark.parametrize("step", ["locked", "created", "synced"])
def test_an_edit_made_while_a_write_is_prepared_is_not_lost(dotenv: Subject, stranger: Callable[[Path, str], None], step: str) -> None:
    """The version was right when it was checked, and no lock keeps a stranger out."""
    edits: list[str] = []

    def meddle(reached: str) -> None:
        if reached == step:
            stranger(dotenv.path, dotenv.sample.text + "\nSTRANGER=1\n")
            edits.append(dotenv.text())

    with pytest.raises(Transient, match="read it again") as failure:
        write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=meddle))
    assert str(dotenv.path) in str(failure.value)
    assert [dotenv.text()] == edits
    assert leftovers(dotenv.path.parent) == []


def test_a_restoration_does_not_undo_an_edit_made_meanwhile(dotenv: Subject) -> None:
    """The same law holds for putting a backup back."""
    backup = dotenv.store.backup("one")
    dotenv.set(dotenv.sample.off)

    def meddle(reached: str) -> None:
        if reached == "synced":
            replaced(dotenv.path, "STRANGER=1\n")

    with pytest.raises(Transient, match="somebody else wrote it"):
        FileStore(dotenv.path, STORES["dotenv"], steps=meddle).restore(backup)
    assert dotenv.text() == "STRANGER=1\n"


def test_a_file_removed_while_a_write_is_prepared_stays_removed(dotenv: Subject) -> None:
    """It may be between a stranger's unlink and its rename."""

    def meddle(reached: str) -> None:
        if reached == "synced":
            dotenv.path.unlink()

    with pytest.raises(Transient, match="it was removed"):
        write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=meddle))
    assert list(dotenv.path.parent.iterdir()) == []


def test_a_lock_that_is_held_is_transient_and_says_so(dotenv: Subject) -> None:
    """The writer inside waits for the writer outside, who waits for it to give up."""
    impatient = FileStore(dotenv.path, STORES["dotenv"], patience=0.02)
    refusals: list[Transient] = []

    def meet(step: str) -> None:
        if step == "locked":
            with pytest.raises(Transient) as refusal:
                write(dotenv, impatient)
            refusals.append(refusal.value)

    write(dotenv, FileStore(dotenv.path, STORES["dotenv"], steps=meet))
    assert "another writer of flags has held its lock for 0.02s" in str(refusals[0])
    assert dotenv.values() == dotenv.sample.off


def test_a_link_that_is_pointed_elsewhere_meanwhile_is_noticed(dotenv: Subject) -> None:
    """A deployment may switch releases while we wait for the lock."""
    link, other = dotenv.path.with_name("current"), dotenv.path.with_name("other")
    link.symlink_to(dotenv.path)
    other.write_text(dotenv.sample.text)

    def switch(step: str) -> None:
        if step == "locked":
            link.unlink()
            link.symlink_to(other)

    with pytest.raises(Transient, match="pointed elsewhere"):
        write(dotenv, FileStore(link, STORES["dotenv"], steps=switch))
    assert (dotenv.text(), other.read_text()) == (dotenv.sample.text, dotenv.sample.text)


def test_a_symbolic_link_stays_a_link_and_its_target_is_replaced(dotenv: Subject, tmp_path: Path) -> None:
    """Through a second link in another folder, too; the backup stands beside the file itself."""
    (tmp_path / "links").mkdir()
    first, second = tmp_path / "links" / "first", tmp_path / "links" / "second"
    first.symlink_to(dotenv.path)
    second.symlink_to("first")
    store = FileStore(second, STORES["dotenv"])
    backup = store.backup("one")
    write(dotenv, store)
    assert Path(backup).parent == tmp_path
    assert (first.is_symlink(), second.is_symlink(), dotenv.path.is_symlink()) == (True, True, False)
    assert dotenv.values() == dotenv.sample.off


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o400, 0o4755])
def test_the_mode_is_kept(dotenv: Subject, mode: int) -> None:
    """Whatever the umask."""
    dotenv.path.chmod(mode)
    dotenv.set(dotenv.sample.off)
    assert stat.S_IMODE(dotenv.path.stat().st_mode) == mode
    assert stat.S_IMODE(Path(dotenv.store.backup("one")).stat().st_mode) == mode


@as_root
def test_owner_and_group_are_kept(dotenv: Subject) -> None:
    """Root writes a file of somebody else."""
    os.chown(dotenv.path, NOBODY, 12)
    dotenv.set(dotenv.sample.off)
    status = dotenv.path.stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, 12)


def test_extended_attributes_are_kept(dotenv: Subject) -> None:
    """Where the file system has them."""
    try:
        os.setxattr(dotenv.path, "user.origin", b"deploy")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    dotenv.set(dotenv.sample.off)
    assert os.getxattr(dotenv.path, "user.origin") == b"deploy"


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX access list as the kernel keeps it: tag, permissions and number of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ANYBODY = 0xFFFFFFFF
FOR_A_FRIEND = access_list((1, 6, ANYBODY), (2, 4, NOBODY), (4, 0, ANYBODY), (16, 4, ANYBODY), (32, 0, ANYBODY))


def set_access_list(path: Path, name: str) -> None:
    try:
        os.setxattr(path, name, FOR_A_FRIEND)
    except OSError:
        pytest.skip("this file system has no access lists")


def test_an_access_list_is_kept(dotenv: Subject) -> None:
    """The friend may go on reading, and the mode means the same."""
    dotenv.path.chmod(0o600)
    set_access_list(dotenv.path, "system.posix_acl_access")
    mode = dotenv.path.stat().st_mode
    dotenv.set(dotenv.sample.off)
    assert os.getxattr(dotenv.path, "system.posix_acl_access") == FOR_A_FRIEND
    assert dotenv.path.stat().st_mode == mode


def test_an_access_list_of_the_folder_gives_nobody_a_file_that_they_could_not_read(dotenv: Subject) -> None:
    """New files would inherit it; a replaced one must not."""
    dotenv.path.chmod(0o640)
    set_access_list(dotenv.path.parent, "system.posix_acl_default")
    dotenv.set(dotenv.sample.off)
    assert "system.posix_acl_access" not in os.listxattr(dotenv.path)
    assert stat.S_IMODE(dotenv.path.stat().st_mode) == 0o640


@pytest.fixture
def open_to_nobody(dotenv: Subject, tmp_path: Path) -> Subject:
    """The folder of the sample, and all above, let an unprivileged user in; it may also write there."""
    if is_root():
        for folder in [folder for folder in tmp_path.parents if folder.owner() == "root" and len(folder.parts) > 2]:
            folder.chmod(0o755)
        tmp_path.chmod(0o777)
    return dotenv


@as_root
@pytest.mark.parametrize(
    ("mode", "owner", "group", "sentence"),
    [
        (0o644, 0, 0, ""),
        (0o644, NOBODY, 12, ""),
        (0o664, 0, 12, "group 12 cannot be kept"),
        (0o604, 0, 12, "group 12 cannot be kept"),
        (0o640, NOBODY, 0, "group 0 cannot be kept"),
        (0o640, 0, NOBODY, ""),
    ],
)
def test_an_owner_that_cannot_be_kept_is_refused_where_it_matters(open_to_nobody: Subject, mode: int, owner: int, group: int, sentence: str) -> None:
    """An unprivileged writer cannot give files away: it goes on only if nobody can do more than before, or read no
    more.
    """
    os.chown(open_to_nobody.path, owner, group)
    open_to_nobody.path.chmod(mode)
    done = run(open_to_nobody, WRITE, user=NOBODY)
    assert done.returncode == 0, done.stderr
    assert sentence in done.stdout
    assert (open_to_nobody.values() == open_to_nobody.sample.off) is (not sentence)
    assert bool(sentence) is bool(done.stdout)
    assert stat.S_IMODE(open_to_nobody.path.stat().st_mode) == mode


@as_root
@pytest.mark.parametrize(
    ("folder_mode", "mode", "said"),
    [(0o555, 0o644, "refused {path}: cannot be written: permission denied"), (0o777, 0o000, "refused {path}: cannot be read")],
)
def test_a_folder_or_file_without_permission_is_refused(open_to_nobody: Subject, folder_mode: int, mode: int, said: str) -> None:
    """The sentence says which, and what would help."""
    open_to_nobody.path.chmod(mode)
    open_to_nobody.path.parent.chmod(folder_mode)
    done = run(open_to_nobody, WRITE, user=NOBODY)
    assert done.stdout.startswith(said.format(path=open_to_nobody.path)), done.stdout + done.stderr
    assert "let this user read it and write to its folder" in done.stdout
    assert open_to_nobody.path.read_text() == open_to_nobody.sample.text


def folder_in_its_place(path: Path) -> None:
    path.mkdir()


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def nothing(path: Path) -> None:
    """A missing file."""


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (nothing, "no such file or directory: create it, or correct the path"),
        (folder_in_its_place, "not a regular file: name a file that holds flags"),
        (dangling_link, "no such file or directory: create it, or correct the path"),
        (link_to_itself, "too many levels of symbolic links: untangle its symbolic links"),
        (pipe, "not a regular file"),
    ],
)
def test_what_is_no_file_is_refused_by_every_verb(tmp_path: Path, place: Callable[[Path], None], sentence: str) -> None:
    """With one and the same sentence."""
    path = tmp_path / "flags"
    place(path)
    store = FileStore(path, STORES["dotenv"])
    verbs: list[Callable[[], object]] = [
        lambda: store.read(frozenset({"A"})),
        lambda: store.write({"A": "1"}, if_version=""),
        lambda: store.backup("one"),
        lambda: store.restore(str(path)),
    ]
    for verb in verbs:
        with pytest.raises(FlagError) as refusal:
            verb()
        assert isinstance(refusal.value, Refused)
        assert sentence in str(refusal.value)
        assert str(refusal.value).startswith(str(path))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_lost_on_the_way(tmp_path: Path) -> None:
    """A daemon that asks every few seconds would notice."""
    store = FileStore(tmp_path, STORES["dotenv"])
    before = open_descriptors()
    for _ in range(10):
        with pytest.raises(Refused):
            store.read(frozenset())
        with pytest.raises(Refused):
            store.backup("one")
    assert open_descriptors() == before
