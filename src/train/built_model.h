// What a model has, asked of it as it is built, nothing run.
#pragma once

#include <string>
#include <vector>

#include "recipe/job.h"
#include "trace/program.h"

namespace peakmem {

/// The model as it is built, nothing run.
Program built(const Job& job, bool unrolled = false);

/// A parameter as named_parameters() gives it; `sizes` are those of what is stored, packed where it is quantized.
struct BuiltParameter {
  std::string name;
  std::vector<int64_t> sizes;
  DType dtype = DType::kFloat32;
  bool trained = true;
};
/// Every parameter of the built model, each layer's of its own, in order.
std::vector<BuiltParameter> parameters_of(const Job& job);

/// Names of the modules that LoRA could adapt in this model, each once, in order.
std::vector<std::string> linear_modules(const Job& job);
/// Names of the modules outside of the layers that PEFT could train a copy of, each once, in order: those that end the
/// name of no module within the layers, nor of one within themselves.
std::vector<std::string> modules_to_save(const Job& job);
/// Whether the model's file knows units outside of the layers (model/outer_units.h); the recipe has them.
bool divides_outside_layers(const Job& job);
/// Whether the recipe's quantization finds layers in this model.
bool quantizes_linear_layers(const Job& job);

}  // namespace peakmem
