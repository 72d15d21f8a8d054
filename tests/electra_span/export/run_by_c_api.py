"""Runs a signature of a SavedModel by TensorFlow's C API, without a line of its Python: JSON in, JSON out.

In: the site-packages folder, the SavedModel's, texts, the input's name and the outputs' names. Out: a list of shape and
values for each output.
"""

import ctypes
import json
import math
import pathlib
import sys

FLOAT, INT32, STRING, BOOL = 1, 3, 7, 10  # TF_DataType
SIZE_OF_STRING = 24  # TF_TString
C_TYPES = {FLOAT: ctypes.c_float, INT32: ctypes.c_int32, BOOL: ctypes.c_bool}
POINTERS = (
    "TF_NewStatus", "TF_LoadLibrary", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel",
    "TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData", "TF_StringGetDataPointer",
)  # fmt: skip


class Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel, loaded with tensorflow_text's operations."""

    def __init__(self, packages, folder):
        ctypes.CDLL(str(packages / "tensorflow/libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
        self.tf = ctypes.CDLL(str(packages / "tensorflow/libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
        for name in POINTERS:
            getattr(self.tf, name).restype = ctypes.c_void_p
        self.tf.TF_Message.restype = ctypes.c_char_p
        self.tf.TF_StringGetSize.restype = ctypes.c_size_t
        self.tf.TF_Dim.restype = ctypes.c_int64
        self.status = ctypes.c_void_p(self.tf.TF_NewStatus())
        for library in sorted((packages / "tensorflow_text/python/ops").glob("*.so")):
            self.tf.TF_LoadLibrary(str(library).encode(), self.status)
            self._check()
        self.graph = ctypes.c_void_p(self.tf.TF_NewGraph())
        options, tags = ctypes.c_void_p(self.tf.TF_NewSessionOptions()), (ctypes.c_char_p * 1)(b"serve")
        session = self.tf.TF_LoadSessionFromSavedModel(
            options, None, folder.encode(), tags, 1, self.graph, None, self.status
        )
        self.session = ctypes.c_void_p(session)
        self._check()

    def run(self, input_name, texts, output_names):
        inputs, outputs = (Output * 1)(self._named(input_name)), (Output * len(output_names))()
        outputs[:] = [self._named(name) for name in output_names]
        values, results = (ctypes.c_void_p * 1)(self._strings(texts)), (ctypes.c_void_p * len(output_names))()
        self.tf.TF_SessionRun(
            self.session, None, inputs, values, 1, outputs, results, len(outputs), None, 0, None, self.status
        )
        self._check()
        return [self._values(ctypes.c_void_p(result)) for result in results]

    def _check(self):
        if self.tf.TF_GetCode(self.status):
            sys.exit(self.tf.TF_Message(self.status).decode())

    def _named(self, name):
        operation, _, index = name.partition(":")
        return Output(self.tf.TF_GraphOperationByName(self.graph, operation.encode()), int(index))

    def _strings(self, texts):
        size = ctypes.c_size_t(SIZE_OF_STRING * len(texts))
        tensor = self.tf.TF_AllocateTensor(STRING, (ctypes.c_int64 * 1)(len(texts)), 1, size)
        data = self.tf.TF_TensorData(ctypes.c_void_p(tensor))
        for index, text in enumerate(texts):
            place, content = ctypes.c_void_p(data + SIZE_OF_STRING * index), text.encode()
            self.tf.TF_StringInit(place)
            self.tf.TF_StringCopy(place, content, ctypes.c_size_t(len(content)))
        return tensor

    def _values(self, tensor):
        kind, data = self.tf.TF_TensorType(tensor), self.tf.TF_TensorData(tensor)
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        size = math.prod(shape)
        if kind != STRING:
            return [shape, list((C_TYPES[kind] * size).from_address(data))]
        places = [ctypes.c_void_p(data + SIZE_OF_STRING * index) for index in range(size)]
        strings = (
            ctypes.string_at(self.tf.TF_StringGetDataPointer(place), self.tf.TF_StringGetSize(place))
            for place in places
        )
        return [shape, [string.decode() for string in strings]]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    session = Session(pathlib.Path(asked["packages"]), asked["folder"])
    found = session.run(asked["input"], asked["texts"], list(asked["outputs"].values()))
    if "tensorflow" in sys.modules:
        sys.exit("TensorFlow's Python was imported")
    print(json.dumps(dict(zip(asked["outputs"], found, strict=True))))
