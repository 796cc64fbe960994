// Freezing parameters of a job by their names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/step.h"

namespace peakmem {

/// Names of the model's parameters as named_parameters() of the Hugging Face model gives them, in order.
std::vector<std::string> parameter_names(const Job& job);

/// Puts the patterns into the recipe and splits runs of layers where what is frozen differs from one to the next. An
/// error that names `field`: a pattern is none, or no parameter has such a name, or no parameter is left to train.
std::optional<Error> freeze(Job& job, std::vector<std::string> patterns, std::string_view field);

/// A parameter that is to be trained and gets no gradient, as PyTorch warns where a reentrant checkpoint's input wants
/// none; empty where there is no such, or none that would have one with nothing frozen. Parameters outside of the
/// layers may be left out by a model's forward pass: one of them is named only if no parameter at all has a gradient.
std::string without_gradient(const Job& job);

}  // namespace peakmem
