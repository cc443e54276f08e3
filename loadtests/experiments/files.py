"""The files that an experiment consists of: its own TOML text, and the files beside it that the text names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Files:
    """The experiment's folder (None for a text without a file), and the text of each file that was read, by name."""

    folder: Path | None
    texts: dict[str, str]

    def read(self, name: str) -> str:
        """Read and keep the file `name` of the folder. ValueError says what was expected."""
        if Path(name).name != name:
            raise ValueError(f'expected a file beside this one, not "{name}"')
        if self.folder is None:
            raise ValueError(f"{name} cannot be read, because this experiment is in no folder")
        try:
            text = (self.folder / name).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ValueError(f"{name}: expected a file beside this one: {error}") from error
        except UnicodeDecodeError as error:
            begin = error.object[:2].hex(" ")
            raise ValueError(f"{name}: expected UTF-8, not {begin} at its start; save it as UTF-8") from error
        self.texts[name] = text
        return text
