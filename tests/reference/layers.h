// The reference of each layer type; reference.cpp chooses among them.
#pragma once

#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/class_losses.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/multiply.h"
#include "layers/normalize.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"
#include "tests/reference/reference.h"

namespace convoy::reference {

// windows.cpp
Outputs forward(const Conv2d& layer, const Inputs& in);
Gradients backward(const Conv2d& layer, const Inputs& in);
Outputs forward(const ConvTranspose& layer, const Inputs& in);
Gradients backward(const ConvTranspose& layer, const Inputs& in);
Outputs forward(const Linear& layer, const Inputs& in);
Gradients backward(const Linear& layer, const Inputs& in);
Outputs forward(const MaxPool& layer, const Inputs& in);
Gradients backward(const MaxPool& layer, const Inputs& in);
Outputs forward(const AveragePool& layer, const Inputs& in);
Gradients backward(const AveragePool& layer, const Inputs& in);
Outputs forward(const GlobalAverage& layer, const Inputs& in);
Gradients backward(const GlobalAverage& layer, const Inputs& in);

// activation.cpp
Outputs forward(const Activation& layer, const Inputs& in);
Gradients backward(const Activation& layer, const Inputs& in);

// gates.cpp
Outputs forward(const AdaptiveAveragePool& layer, const Inputs& in);
Gradients backward(const AdaptiveAveragePool& layer, const Inputs& in);
Outputs forward(const GlobalMax& layer, const Inputs& in);
Gradients backward(const GlobalMax& layer, const Inputs& in);
Outputs forward(const Multiply& layer, const Inputs& in);
Gradients backward(const Multiply& layer, const Inputs& in);
Outputs forward(const Softmax& layer, const Inputs& in);
Gradients backward(const Softmax& layer, const Inputs& in);
Outputs forward(const StochasticDepth& layer, const Inputs& in);
Gradients backward(const StochasticDepth& layer, const Inputs& in);

// elementwise.cpp
Outputs forward(const Relu& layer, const Inputs& in);
Gradients backward(const Relu& layer, const Inputs& in);
Outputs forward(const Dropout& layer, const Inputs& in);
Gradients backward(const Dropout& layer, const Inputs& in);
Outputs forward(const Flatten& layer, const Inputs& in);
Gradients backward(const Flatten& layer, const Inputs& in);
Outputs forward(const Add& layer, const Inputs& in);
Gradients backward(const Add& layer, const Inputs& in);
Outputs forward(const Concat& layer, const Inputs& in);
Gradients backward(const Concat& layer, const Inputs& in);
Outputs forward(const Normalize& layer, const Inputs& in);
Gradients backward(const Normalize& layer, const Inputs& in);

// images.cpp
Outputs forward(const Pad& layer, const Inputs& in);
Gradients backward(const Pad& layer, const Inputs& in);
Outputs forward(const Upsample& layer, const Inputs& in);
Gradients backward(const Upsample& layer, const Inputs& in);

// batch_norm.cpp
Outputs forward(const BatchNorm& layer, const Inputs& in);
Gradients backward(const BatchNorm& layer, const Inputs& in);

// norms.cpp
Outputs forward(const GroupNorm& layer, const Inputs& in);
Gradients backward(const GroupNorm& layer, const Inputs& in);
Outputs forward(const LayerNorm& layer, const Inputs& in);
Gradients backward(const LayerNorm& layer, const Inputs& in);
Outputs forward(const Lrn& layer, const Inputs& in);
Gradients backward(const Lrn& layer, const Inputs& in);

// losses.cpp
Outputs forward(const SoftmaxCrossEntropy& layer, const Inputs& in);
Gradients backward(const SoftmaxCrossEntropy& layer, const Inputs& in);
Outputs forward(const BinaryCrossEntropy& layer, const Inputs& in);
Gradients backward(const BinaryCrossEntropy& layer, const Inputs& in);
Outputs forward(const Distillation& layer, const Inputs& in);
Gradients backward(const Distillation& layer, const Inputs& in);
Outputs forward(const MeanSquaredError& layer, const Inputs& in);
Gradients backward(const MeanSquaredError& layer, const Inputs& in);

// ---- Shared

// Zeros of the shapes of x and w.
Gradients zero_gradients(const Inputs& in);
// y = max(y, 0), noting the distance to the kink.
void fuse_relu(Outputs& out);
// dy where y > 0, else 0.
Array behind_relu(const Array& y, const Array& dy);

}  // namespace convoy::reference
