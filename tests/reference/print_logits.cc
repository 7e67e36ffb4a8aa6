// Prints the CPU engine's logits behind token ids, one a line, for the comparison with the numpy
// reference in this folder. The tests and the engine's numbers meet only in this text.
//
//   print_logits MODEL_DIR IDS THREADS PIECE_ROWS [PREFIX_FILE]
//
// IDS is comma-separated; the rows are fed PIECE_ROWS at a time (0: in one call). PREFIX_FILE
// holds bf16 rows that stand before them.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "runner/cpu/cpu_engine.h"

namespace {

std::vector<runner::Bf16> read_prefix(const char* file) {
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
  std::vector<runner::Bf16> values;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const auto low = static_cast<unsigned char>(bytes[i]);
    const auto high = static_cast<unsigned char>(bytes[i + 1]);
    values.push_back({static_cast<std::uint16_t>(low | high << 8)});
  }
  return values;
}

int run(int argc, char** argv) {
  if (argc < 5) {
    std::fputs("usage: print_logits MODEL_DIR IDS THREADS PIECE_ROWS [PREFIX_FILE]\n", stderr);
    return 2;
  }
  const runner::CpuModel model = runner::load_cpu_model(argv[1], 4096);
  std::vector<runner::Bf16> rows;
  if (argc > 5) rows = read_prefix(argv[5]);
  std::istringstream ids(argv[2]);
  for (std::string id; std::getline(ids, id, ',');) {
    const auto row = model.embeddings->row(std::stoi(id));
    rows.insert(rows.end(), row.begin(), row.end());
  }
  const auto engine = runner::make_cpu_engine(
      model.weights, std::make_shared<runner::ThreadPool>(std::stoi(argv[3])));
  const auto cache = engine->new_cache();
  const runner::EmbeddingView view(rows, model.shape.hidden);
  const int piece = std::stoi(argv[4]) == 0 ? view.rows() : std::stoi(argv[4]);
  runner::Logits logits;
  for (int first = 0; first < view.rows(); first += piece) {
    logits = engine->prefill(view.slice(first, std::min(piece, view.rows() - first)), *cache, {});
  }
  for (const float logit : std::get<std::span<const float>>(logits)) {
    std::printf("%.9g\n", static_cast<double>(logit));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "print_logits: %s\n", error.what());
    return 1;
  }
}
