"""Execute the essays and write the notebooks beside their sources: ``python -m notebooks [NAME ...]``.

A source is a jupytext script in the percent format. HMOE_NOTEBOOK_SIZE=quick in the environment cuts samples and
replicates to the size of a test.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT = 600  # seconds a cell
WIDGET = "application/vnd.jupyter.widget-view+json"


def sources():
    """The essays, in order."""
    return sorted(HERE.glob("[0-9]*.py"))


def read(source):
    """The notebook of a source, without outputs; cells are numbered, so that rewriting it changes no identifier."""
    import jupytext

    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def execute(notebook, folder):
    """Run every cell in a new kernel whose working directory is `folder`, and fill in the outputs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        At the first cell that fails.
    """
    from nbclient import NotebookClient

    options = {"timeout": TIMEOUT, "kernel_name": "python3", "record_timing": False, "store_widget_state": False}
    NotebookClient(notebook, resources={"metadata": {"path": folder}}, **options).execute()
    for cell in notebook.cells:  # a slider is nothing without its kernel, and its identifier changes with every run
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    # versions of the interpreter and the names of kernels differ between machines: they say nothing to a reader
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main(names):
    import tempfile

    import nbformat

    for source in sources():
        if not names or source.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                notebook = execute(read(source), folder)
            target = source.with_suffix(".ipynb")
            nbformat.write(notebook, target)
            print(f"{target.relative_to(HERE.parent)}: {target.stat().st_size // 1024} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
