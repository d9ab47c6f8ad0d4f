"""Text to tokens and back by ``tokenizers``; conversations by the model's chat template."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, FormatError
from ._extras import optional

__all__ = ["Message", "Tokenizer"]

#: One turn: ``{"role": "system" | "user" | "assistant", "content": text}``.
Message = Mapping[str, str]

_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2_WORDS = _LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")

_CONTROL, _USER_DEFINED = 3, 4  # token types of GGUF


class Tokenizer:
    """A tokenizer with its special tokens and chat template.

    Parameters
    ----------
    backend
        A ``tokenizers.Tokenizer``.
    bos, eos
        The tokens that begin and end a text, as text; None where the model has none.
    chat_template
        Jinja source, or None.
    """

    def __init__(
        self,
        backend: Any,
        *,
        bos: str | None = None,
        eos: str | None = None,
        chat_template: str | None = None,
        name: str = "tokenizer",
    ):
        self.backend = backend
        self.name = name
        self.chat_template = chat_template
        self.bos, self.eos = bos, eos
        self.bos_token = self._token(bos)
        self.eos_token = self._token(eos)
        self._template: Any = None

    def _token(self, text: str | None) -> int | None:
        if text is None:
            return None
        token = self.backend.token_to_id(text)
        if token is None:
            raise FormatError(f"{self.name}: the special token {text!r} is not in the vocabulary")
        return int(token)

    # ------------------------------------------------------------------------------- loading

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> Tokenizer:
        """Reads ``tokenizer.json``, ``tokenizer_config.json`` and ``chat_template.jinja``."""
        path = Path(folder)
        tokenizers = optional("tokenizers", "text")
        source = path / "tokenizer.json"
        if not source.is_file():
            raise FormatError(f"{path}: holds no tokenizer.json")
        try:
            backend = tokenizers.Tokenizer.from_file(str(source))
        except Exception as error:  # the library raises bare Exception
            raise FormatError(f"{source}: cannot be read ({error})") from error
        backend.no_padding()
        backend.no_truncation()
        settings: dict[str, Any] = {}
        if (path / "tokenizer_config.json").is_file():
            try:
                settings = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
            except ValueError as error:
                raise FormatError(f"{path / 'tokenizer_config.json'}: {error}") from error
        template = settings.get("chat_template")
        if isinstance(template, list):  # named templates
            template = next((one["template"] for one in template if one["name"] == "default"), None)
        if (path / "chat_template.jinja").is_file():
            template = (path / "chat_template.jinja").read_text(encoding="utf-8")
        return cls(
            backend,
            bos=_content(settings.get("bos_token")),
            eos=_content(settings.get("eos_token")),
            chat_template=template,
            name=str(source),
        )

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], where: str) -> Tokenizer:
        """Rebuilds the byte-level BPE tokenizer that the metadata of a GGUF file describe.

        The cut of a text into words before BPE is not in the file; it is known by its name.
        """
        tokenizers = optional("tokenizers", "text")
        kind = metadata.get("tokenizer.ggml.model")
        if kind != "gpt2":
            raise FormatError(
                f"{where}: tokenizer {kind!r}; only byte-level BPE ('gpt2') can be rebuilt: "
                "use a folder with tokenizer.json"
            )
        try:
            texts = metadata["tokenizer.ggml.tokens"]
            types = metadata.get("tokenizer.ggml.token_type", [1] * len(texts))
            merges = [tuple(line.split(" ", 1)) for line in metadata["tokenizer.ggml.merges"]]
        except KeyError as error:
            raise FormatError(f"{where}: {error.args[0]} is missing") from error
        vocabulary = {text: token for token, text in enumerate(texts)}
        model = tokenizers.models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False)
        backend = tokenizers.Tokenizer(model)
        backend.pre_tokenizer = _pre_tokenizer(metadata.get("tokenizer.ggml.pre", "default"), where)
        backend.decoder = tokenizers.decoders.ByteLevel()
        added = [
            tokenizers.AddedToken(text, special=kind == _CONTROL, normalized=False)
            for text, kind in zip(texts, types, strict=True)
            if kind in (_CONTROL, _USER_DEFINED)
        ]
        backend.add_special_tokens([one for one in added if one.special])
        backend.add_tokens([one for one in added if not one.special])
        special = {
            name: texts[metadata[f"tokenizer.ggml.{name}_token_id"]]
            for name in ("bos", "eos")
            if metadata.get(f"tokenizer.ggml.{name}_token_id") is not None
        }
        if metadata.get("tokenizer.ggml.add_bos_token") and "bos" in special:
            bos = special["bos"]
            backend.post_processor = tokenizers.processors.TemplateProcessing(
                single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])]
            )
        return cls(
            backend,
            bos=special.get("bos"),
            eos=special.get("eos"),
            chat_template=metadata.get("tokenizer.chat_template"),
            name=where,
        )

    # -------------------------------------------------------------------------------- using

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are, added ones too."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The tokens of a text.

        Parameters
        ----------
        text
            Special tokens that are written out in it are recognised.
        special
            Adds what the tokenizer puts around a text, such as a token of its beginning.
        """
        if not isinstance(text, str):
            raise ArgumentError(f"text: expected a string, got {text!r}")
        tokens: list[int] = self.backend.encode(text, add_special_tokens=special).ids
        return tokens

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """The text of tokens; special tokens are left out unless `special`."""
        text: str = self.backend.decode(
            [int(one) for one in tokens], skip_special_tokens=not special
        )
        return text

    def token(self, text: str) -> int:
        """The number of one token, such as ``<|im_end|>``."""
        token = self._token(text)
        assert token is not None
        return token

    def apply_chat_template(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tokenize: bool = True,
        **variables: Any,
    ) -> Any:
        """A conversation as tokens, or as text where `tokenize` is False.

        Parameters
        ----------
        messages
            Turns with ``role`` and ``content``.
        add_generation_prompt
            Ends with the head of an assistant's turn.
        variables
            Further variables of the template.
        """
        text = self._rendered(messages, add_generation_prompt, variables)
        return self.encode(text) if tokenize else text

    def _rendered(
        self, messages: Sequence[Message], generation: bool, variables: Mapping[str, Any]
    ) -> str:
        for message in messages:
            if not {"role", "content"} <= set(message):
                raise ArgumentError(f"messages: expected role and content, got {message!r}")
        jinja = optional("jinja2", "chat templates")
        if self._template is None:
            if self.chat_template is None:
                raise ArgumentError(f"{self.name}: has no chat template")
            self._template = _compiled(self.chat_template, self.name)
        try:
            text: str = self._template.render(
                messages=[dict(message) for message in messages],
                add_generation_prompt=generation,
                bos_token=self.bos or "",
                eos_token=self.eos or "",
                **variables,
            )
        except jinja.TemplateError as error:
            raise ArgumentError(f"{self.name}: its chat template refuses: {error}") from error
        return text


def _content(token: Any) -> str | None:
    """A special token of ``tokenizer_config.json``: a text, or a table with its content."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) else None


def _pre_tokenizer(name: str, where: str) -> Any:
    """How a text is cut into words: by the name that llama.cpp gives it.

    SmolLM2 splits digits one by one first; without that, numbers get other tokens than in training.
    """
    pre = optional("tokenizers", "text").pre_tokenizers
    regex = optional("tokenizers", "text").Regex
    by_words = {"llama-bpe": _LLAMA3_WORDS, "llama3": _LLAMA3_WORDS, "qwen2": _QWEN2_WORDS}
    if name == "smollm":
        return pre.Sequence(
            [
                pre.Digits(individual_digits=True),
                pre.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    if name in ("default", "gpt-2"):
        return pre.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in by_words:
        return pre.Sequence(
            [
                pre.Split(regex(by_words[name]), behavior="isolated"),
                pre.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    raise FormatError(
        f"{where}: pre-tokenizer {name!r} is not known; use a folder with tokenizer.json"
    )


def _compiled(source: str, where: str) -> Any:
    """A template in the sandbox and with the helpers that chat templates expect."""
    jinja = optional("jinja2", "chat templates")
    sandbox = optional("jinja2.sandbox", "chat templates")

    def refuse(message: str) -> None:
        raise jinja.TemplateError(message)

    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    environment.filters["tojson"] = lambda value, **options: json.dumps(
        value, ensure_ascii=False, **options
    )
    try:
        return environment.from_string(source)
    except jinja.TemplateError as error:
        raise FormatError(f"{where}: its chat template is not valid ({error})") from error
