// One decoder layer over the rows of a group.

#include <algorithm>
#include <cstring>

#include "tests/ax_sim/npu_model.h"

namespace ax_sim {
namespace {

constexpr std::uint16_t kNan = 0x7FC0;

std::uint16_t bf16_at(const std::byte* tensor, std::size_t index) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, tensor + index * sizeof bits, sizeof bits);
  return bits;
}

void put_bf16(std::byte* tensor, std::size_t index, std::uint16_t bits) {
  std::memcpy(tensor + index * sizeof bits, &bits, sizeof bits);
}

void widen_row(const std::byte* tensor, std::size_t row, std::size_t width, float* out) {
  const std::byte* from = tensor + row * width * sizeof(std::uint16_t);
  for (std::size_t i = 0; i < width; ++i) out[i] = widen(bf16_at(from, i));
}

// What hardware leaves in padding rows is anybody's guess, but finite.
std::uint16_t leftover(std::size_t row, std::size_t column) {
  return static_cast<std::uint16_t>(0x4120U + (row * 7 + column * 3) % 64U);
}

class LayerRun {
 public:
  LayerRun(NpuModel& model, const GroupHeader& group, const LayerIo& io)
      : m_(model.header),
        w_(model.layer),
        group_(group),
        io_(io),
        query_width_(std::size_t{m_.heads} * m_.head_dim),
        kv_width_(std::size_t{m_.kv_heads} * m_.head_dim),
        history_keys_(model.history_keys),
        history_values_(model.history_values) {}

  std::size_t run() {
    choose_rows();
    project();
    widen_history();
    attention();
    mlp();
    write();
    return visible_rows_;
  }

 private:
  // A row that is computed.
  struct Row {
    std::size_t number;                  // in the group's tensors
    std::vector<std::uint32_t> columns;  // visible ones of its mask row
  };

  // Rows that see something, and rows whose keys and values one of those sees.
  void choose_rows() {
    const std::size_t rows = group_.rows;
    const std::size_t columns = group_.mask_columns;
    std::vector<std::vector<std::uint32_t>> visible(rows);
    std::vector<bool> needed(rows);
    history_seen_.assign(group_.history, false);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::byte* mask = io_.mask + row * columns * sizeof(std::uint16_t);
      for (std::size_t column = 0; column < columns; ++column) {
        if (bf16_at(mask, column) == kHidden) continue;
        visible[row].push_back(static_cast<std::uint32_t>(column));
        if (column < group_.history) {
          history_seen_[column] = true;
        } else {
          needed[column - group_.history] = true;
        }
      }
      if (visible[row].empty()) continue;
      needed[row] = true;
      ++visible_rows_;
    }
    place_.assign(rows, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      if (!needed[row]) continue;
      place_[row] = rows_.size();
      rows_.push_back({row, std::move(visible[row])});
    }
  }

  void project() {
    const std::size_t count = rows_.size();
    hidden_.resize(count * m_.hidden);
    normed_.resize(count * m_.hidden);
    query_.resize(count * query_width_);
    key_.resize(count * kv_width_);
    value_.resize(count * kv_width_);
    for (std::size_t i = 0; i < count; ++i) {
      widen_row(io_.input, rows_[i].number, m_.hidden, &hidden_[i * m_.hidden]);
    }
    norm(w_.attention_norm);
    w_.query.multiply(normed_.data(), count, query_.data());
    w_.key.multiply(normed_.data(), count, key_.data());
    w_.value.multiply(normed_.data(), count, value_.data());
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t position = 0;
      std::memcpy(&position, io_.indices + rows_[i].number * sizeof position, sizeof position);
      finish_projection(&query_[i * query_width_], w_.query_bias, query_width_, position);
      finish_projection(&key_[i * kv_width_], w_.key_bias, kv_width_, position);
      for (std::size_t e = 0; e < w_.value_bias.size(); ++e) {
        value_[i * kv_width_ + e] += w_.value_bias[e];
      }
    }
    // What the caches will hold is what this run attends to: rounded.
    round(key_);
    round(value_);
  }

  void round(std::vector<float>& values) {
    for (float& value : values) {
      const std::uint16_t bits = narrow(value);
      if (!finite(bits)) overflowed_ = true;
      value = widen(bits);
    }
  }

  void finish_projection(float* row, const std::vector<float>& bias, std::size_t width,
                         std::uint32_t position) {
    const std::size_t half = m_.head_dim / 2;
    for (std::size_t i = 0; i < bias.size(); ++i) row[i] += bias[i];
    for (std::size_t first = 0; first < width; first += m_.head_dim) {
      rotate(row + first, m_.head_dim, &w_.cosines[position * half], &w_.sines[position * half]);
    }
  }

  void norm(const std::vector<float>& weight) {
    for (std::size_t at = 0; at < hidden_.size(); at += m_.hidden) {
      rms_norm(&hidden_[at], weight, m_.norm_epsilon, &normed_[at]);
    }
  }

  void widen_history() {
    const std::size_t needed = group_.history * kv_width_;
    if (history_keys_.size() < needed) history_keys_.resize(needed);
    if (history_values_.size() < needed) history_values_.resize(needed);
    for (std::size_t slot = 0; slot < group_.history; ++slot) {
      if (!history_seen_[slot]) continue;
      widen_row(io_.keys, slot, kv_width_, &history_keys_[slot * kv_width_]);
      widen_row(io_.values, slot, kv_width_, &history_values_[slot * kv_width_]);
    }
  }

  // Hidden columns have weight 0 exactly and add nothing, as long as what they hold is finite. The
  // history has been checked; an own row that overflowed spoils all, for 0 x infinity is NaN.
  void attention() {
    const std::size_t count = rows_.size();
    std::vector<float> attended(count * query_width_);
    std::vector<KvColumn> columns;
    std::vector<float> scores;
    const std::size_t sharing = m_.heads / m_.kv_heads;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t head = 0; head < m_.heads && !rows_[i].columns.empty(); ++head) {
        const std::size_t first = head / sharing * m_.head_dim;
        columns.clear();
        for (const std::uint32_t column : rows_[i].columns) columns.push_back(at(column, first));
        const std::size_t place = i * query_width_ + head * m_.head_dim;
        attend(&query_[place], columns, m_.head_dim, scores, &attended[place]);
      }
    }
    if (overflowed_) std::fill(attended.begin(), attended.end(), widen(kNan));
    std::vector<float> added(hidden_.size());
    w_.output.multiply(attended.data(), count, added.data());
    for (std::size_t i = 0; i < hidden_.size(); ++i) hidden_[i] += added[i];
  }

  KvColumn at(std::size_t column, std::size_t first) const {
    if (column < group_.history) {
      const std::size_t place = column * kv_width_ + first;
      return {&history_keys_[place], &history_values_[place]};
    }
    const std::size_t place = place_[column - group_.history] * kv_width_ + first;
    return {&key_[place], &value_[place]};
  }

  void mlp() {
    const std::size_t count = rows_.size();
    std::vector<float> gate(count * m_.intermediate);
    std::vector<float> up(count * m_.intermediate);
    norm(w_.mlp_norm);
    w_.gate.multiply(normed_.data(), count, gate.data());
    w_.up.multiply(normed_.data(), count, up.data());
    silu_multiply(gate.data(), up.data(), gate.size());
    w_.down.multiply(gate.data(), count, normed_.data());
    for (std::size_t i = 0; i < hidden_.size(); ++i) hidden_[i] += normed_[i];
  }

  void write() {
    std::vector<const Row*> computed(group_.rows, nullptr);
    for (const Row& row : rows_) computed[row.number] = &row;
    for (std::size_t row = 0; row < group_.rows; ++row) {
      const bool kv = computed[row] != nullptr;
      const bool output = kv && !computed[row]->columns.empty();
      write_row(io_.keys_out, row, kv_width_, kv ? &key_[place_[row] * kv_width_] : nullptr);
      write_row(io_.values_out, row, kv_width_, kv ? &value_[place_[row] * kv_width_] : nullptr);
      write_row(io_.output, row, m_.hidden, output ? &hidden_[place_[row] * m_.hidden] : nullptr);
    }
  }

  static void write_row(std::byte* tensor, std::size_t row, std::size_t width,
                        const float* values) {
    std::byte* to = tensor + row * width * sizeof(std::uint16_t);
    for (std::size_t i = 0; i < width; ++i) {
      put_bf16(to, i, values == nullptr ? leftover(row, i) : narrow(values[i]));
    }
  }

  const ModelHeader& m_;
  const LayerWeights& w_;
  const GroupHeader& group_;
  const LayerIo& io_;
  const std::size_t query_width_;
  const std::size_t kv_width_;

  std::vector<float>& history_keys_;  // [history][kv width], values of bf16 in the seen slots
  std::vector<float>& history_values_;

  std::vector<Row> rows_;
  std::vector<std::size_t> place_;  // of a row of the group in rows_
  std::vector<bool> history_seen_;
  std::size_t visible_rows_ = 0;
  bool overflowed_ = false;  // keys or values of a computed row

  std::vector<float> hidden_;  // [computed rows][…], as are the next four
  std::vector<float> normed_;
  std::vector<float> query_;
  std::vector<float> key_;  // values of bf16, as is the next
  std::vector<float> value_;
};

}  // namespace

std::size_t run_layer(NpuModel& model, const GroupHeader& group, const LayerIo& io) {
  return LayerRun(model, group, io).run();
}

}  // namespace ax_sim
