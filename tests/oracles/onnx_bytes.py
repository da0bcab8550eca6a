"""Prints the constant of tests/core/io/onnx_test.cpp: a model with every kind of tensor and attribute that is read.

python onnx_bytes.py [PATH]   needs the packages onnx and numpy; PATH: writes the model there
"""
import base64
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensor(name, kind, dims, values, raw=False):
    return helper.make_tensor(name, kind, dims, values, raw=raw)


values = np.array([1.5, -2, 0.25], np.float32)
initializers = [
    tensor("f32_raw", TensorProto.FLOAT, [1, 3], values.tobytes(), raw=True),
    tensor("f32_list", TensorProto.FLOAT, [3], values),
    tensor("f16_raw", TensorProto.FLOAT16, [3], values.astype(np.float16).tobytes(), raw=True),
    tensor("f16_list", TensorProto.FLOAT16, [3], values.astype(np.float16)),
    tensor("bf16_raw", TensorProto.BFLOAT16, [3], (values.view(np.uint32) >> 16).astype(np.uint16).tobytes(), raw=True),
    tensor("f64_raw", TensorProto.DOUBLE, [3], values.astype(np.float64).tobytes(), raw=True),
    tensor("f64_list", TensorProto.DOUBLE, [3], values.astype(np.float64)),
    tensor("i64_raw", TensorProto.INT64, [3], np.array([1, -1, 2**40], np.int64).tobytes(), raw=True),
    tensor("i64_list", TensorProto.INT64, [3], [1, -1, 2**40]),
    tensor("i32_list", TensorProto.INT32, [3], [1, -1, 70000]),
    tensor("i8_raw", TensorProto.INT8, [2], np.array([-1, 1], np.int8).tobytes(), raw=True),
    tensor("bool_list", TensorProto.BOOL, [2], [True, False]),
    tensor("scalar", TensorProto.FLOAT, [], [6.0]),
    tensor("empty", TensorProto.INT64, [0], []),
]
node = helper.make_node("Clip", ["image", "", "scalar"], ["y"], name="clip", f=0.5, i=-3, s="text", fs=[1.0, 2.5], ii=[1, -2, 300],
                        ss=["a", "b"], t=numpy_helper.from_array(np.array([7, 8], np.int64), "inner"))
image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 4, None])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
graph = helper.make_graph([node], "graph", [image], [y], initializers, doc_string="skipped")
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 2)],
                          producer_name="maker", producer_version="1.0", ir_version=7)
helper.set_model_props(model, {"key": "value", "other": "\u00e9"})
data = model.SerializeToString()
if len(sys.argv) > 1:
    open(sys.argv[1], "wb").write(data)
text = base64.b64encode(data).decode()
for i in range(0, len(text), 114):
    print(f'    "{text[i:i + 114]}"')
