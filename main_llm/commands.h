#pragma once

#include "main_llm/model_loader.h"
#include "main_llm/options.h"

namespace main_llm {

// The commands that serve nobody. Each returns the exit status and throws runner::Error when
// the model cannot be opened or run.

// One answer, or a chat on the terminal. Text goes to stdout, a one-line summary to stderr.
int run(RunOptions options, ModelLoader& loader);

// Prefill and decode speed (median, min, max), load time, peak memory.
int bench(const BenchOptions& options, ModelLoader& loader);

// What a model folder holds.
int inspect(const InspectOptions& options, ModelLoader& loader);

// A text on stdin as the model's tokenizer sees it: ids and pieces, or the prompt that the chat
// template makes of it; or ids on stdin as text.
int tokenize(const TokenizeOptions& options, ModelLoader& loader);

// What is wrong with this machine and how to repair it (doctor.h). The exit status is 0 when
// nothing keeps the unit from working, else 1.
int doctor(const DoctorOptions& options, ModelLoader& loader);

// The models there are; what is wrong with a broken one.
int list(const ListOptions& options, ModelLoader& loader);

// What makes a model of a folder of .axmodel files; done with `write`. 1 when that cannot be done,
// and why not.
int package(const PackageCommandOptions& options);

}  // namespace main_llm
