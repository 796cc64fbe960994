// The door for Python: a request in JSON gets a response in JSON, without the interpreter's lock.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "api/answer.h"
#include "emitted.h"
#include "launch/table.h"
#include "source.h"

NB_MODULE(_core, module) {
  module.doc() = "The core of Peakmem behind one function.";
  module.def(
      "answer",
      [](const std::string& request) {
        return peakmem::answer(request, peakmem::cli::find_model, peakmem::cli::find_launch,
                               peakmem::cli::emitted_json);
      },
      nanobind::arg("request"), nanobind::call_guard<nanobind::gil_scoped_release>(),
      "The response to a request, both JSON texts.");
  module.def(
      "launch_table",
      [](const std::string& name) {
        for (const peakmem::ShippedFile& file : peakmem::launch_tables())
          if (file.name == name) return std::string(file.text);
        return std::string();
      },
      nanobind::arg("name"), "A table of data/launch as text.");
}
