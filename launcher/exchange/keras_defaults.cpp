// Printed by tests/oracles/keras_layer_defaults.py: what Keras 3.15 writes for a layer besides what Convoy sets.
#include <map>
#include <string_view>

#include "launcher/exchange/keras_dialect.h"

namespace convoy {
namespace {

// clang-format off
const std::map<std::string_view, KerasDefaults> kDefaults = {
    {"Activation", {R"({"activation": "relu"})", false}},
    {"Add", {R"({})", true}},
    {"AveragePooling2D", {R"({"pool_size": [2, 2], "padding": "valid", "strides": [2, 2], "data_format": "channels_last"})", false}},
    {"BatchNormalization", {R"({"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": true, "scale": true, )"
     R"("beta_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "gamma_initializer": {"module": "keras.initializers", "class_name": "Ones", )"
     R"("config": {}, "registered_name": null}, "moving_mean_initializer": {"module": "keras.initializers", )"
     R"("class_name": "Zeros", "config": {}, "registered_name": null}, )"
     R"("moving_variance_initializer": {"module": "keras.initializers", "class_name": "Ones", "config": {}, )"
     R"("registered_name": null}, "beta_regularizer": null, "gamma_regularizer": null, "beta_constraint": null, )"
     R"("gamma_constraint": null, "synchronized": false, "renorm": false, "renorm_clipping": null, )"
     R"("renorm_momentum": 0.99})", true}},
    {"Concatenate", {R"({"axis": -1})", true}},
    {"Conv2D", {R"({"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", )"
     R"("data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1, "activation": "linear", )"
     R"("use_bias": true, "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "kernel_regularizer": null, "bias_regularizer": null, )"
     R"("activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null})", true}},
    {"Conv2DTranspose", {R"({"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "output_padding": null, )"
     R"("data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear", "use_bias": true, )"
     R"("kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "kernel_regularizer": null, "bias_regularizer": null, )"
     R"("activity_regularizer": null, "kernel_constraint": null, "bias_constraint": null})", true}},
    {"Dense", {R"({"units": 2, "activation": "linear", "use_bias": true, )"
     R"("kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "kernel_regularizer": null, "bias_regularizer": null, "kernel_constraint": null, )"
     R"("bias_constraint": null, "quantization_config": null})", true}},
    {"DepthwiseConv2D", {R"({"depth_multiplier": 1, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", )"
     R"("data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear", "use_bias": true, )"
     R"("depthwise_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "depthwise_regularizer": null, "bias_regularizer": null, )"
     R"("activity_regularizer": null, "depthwise_constraint": null, "bias_constraint": null})", true}},
    {"Dropout", {R"({"rate": 0.5, "seed": null, "noise_shape": null})", false}},
    {"ELU", {R"({"alpha": 1.0})", false}},
    {"Flatten", {R"({"data_format": "channels_last"})", true}},
    {"GlobalAveragePooling2D", {R"({"data_format": "channels_last", "keepdims": false})", false}},
    {"GlobalMaxPooling2D", {R"({"data_format": "channels_last", "keepdims": false})", false}},
    {"GroupNormalization", {R"({"groups": 2, "axis": -1, "epsilon": 0.001, "center": true, "scale": true, )"
     R"("beta_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "gamma_initializer": {"module": "keras.initializers", "class_name": "Ones", )"
     R"("config": {}, "registered_name": null}, "beta_regularizer": null, "gamma_regularizer": null, )"
     R"("beta_constraint": null, "gamma_constraint": null})", true}},
    {"LayerNormalization", {R"({"axis": [-1], "epsilon": 0.001, "center": true, "scale": true, "rms_scaling": false, )"
     R"("beta_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "gamma_initializer": {"module": "keras.initializers", "class_name": "Ones", )"
     R"("config": {}, "registered_name": null}, "beta_regularizer": null, "gamma_regularizer": null, )"
     R"("beta_constraint": null, "gamma_constraint": null})", true}},
    {"LeakyReLU", {R"({"negative_slope": 0.3})", false}},
    {"MaxPooling2D", {R"({"pool_size": [2, 2], "padding": "valid", "strides": [2, 2], "data_format": "channels_last"})", false}},
    {"Multiply", {R"({})", true}},
    {"ReLU", {R"({"max_value": null, "negative_slope": 0.0, "threshold": 0.0})", false}},
    {"Reshape", {R"({"target_shape": [1, 1, 8]})", false}},
    {"SeparableConv2D", {R"({"depth_multiplier": 1, "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], )"
     R"("padding": "valid", "data_format": "channels_last", "dilation_rate": [1, 1], "activation": "linear", )"
     R"("use_bias": true, "depthwise_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("pointwise_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", )"
     R"("config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null}, )"
     R"("bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, )"
     R"("registered_name": null}, "depthwise_regularizer": null, "pointwise_regularizer": null, )"
     R"("bias_regularizer": null, "activity_regularizer": null, "depthwise_constraint": null, )"
     R"("pointwise_constraint": null, "bias_constraint": null})", true}},
    {"Softmax", {R"({"axis": -1})", false}},
    {"UpSampling2D", {R"({"size": [2, 2], "data_format": "channels_last", "interpolation": "nearest"})", true}},
    {"ZeroPadding2D", {R"({"padding": [[1, 1], [1, 1]], "data_format": "channels_last"})", true}},
};
// clang-format on

}  // namespace

KerasDefaults keras_defaults(const std::string& class_name) {
  const auto found = kDefaults.find(class_name);
  return found == kDefaults.end() ? KerasDefaults{} : found->second;
}

}  // namespace convoy
