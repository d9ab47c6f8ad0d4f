"""The methods on real text: each study is a function of sizes and seeds, and one command.

``python -m fpo.studies NAME --output FOLDER`` writes ``FOLDER/NAME.json``, which notebook 5 reads;
with smaller sizes the notebook calls the same functions. All need the extra ``fpo[llm]`` and the
models ``minilm`` and ``smollm2``; those on public data read the folder that ``FPO_DATA`` names.
"""
