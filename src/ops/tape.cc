// SPDX-License-Identifier: Apache-2.0
#include "ops/tape.h"

#include <cstring>
#include <new>

namespace unha {

namespace {
constexpr std::align_val_t kAlign{64};
}

void Tape::Free::operator()(std::byte* p) const { ::operator delete(p, kAlign); }

Tensor Tape::track(Tensor value) {
  slots_.push_back(
      {value.bytes(), nullptr, static_cast<size_t>(value.rows() * value.stride() * dtype_bytes(value.dtype()))});
  return {value.bytes(), value.dtype(), value.rows(), value.cols(), value.stride(), &slots_.back()};
}

namespace {
double lap(std::chrono::steady_clock::time_point& last) {
  auto now = std::chrono::steady_clock::now();
  double seconds = std::chrono::duration<double>(now - last).count();
  last = now;
  return seconds;
}
}  // namespace

void Tape::set_profile(StepProfile* profile) {
  profile_ = profile;
  last_ = std::chrono::steady_clock::now();
}

void Tape::record(const char* name, std::function<void()> back) {
  if (profile_ != nullptr) {
    OpTime& time = (*profile_)[name];
    time.forward_s += lap(last_);
    ++time.count;
  }
  steps_.push_back({name, std::move(back), slots_.size()});
}

Tensor Tape::grad(Tensor x) {
  GradSlot* slot = x.slot();
  UNHA_CHECK(slot != nullptr, "gradient of a tensor that no tape tracks");
  if (slot->grad_base == nullptr) {
    auto it = pool_.lower_bound(slot->bytes);
    Block block;
    size_t size = slot->bytes;
    if (it != pool_.end() && it->first <= slot->bytes + slot->bytes / 2 + 4096) {
      size = it->first;
      block = std::move(it->second);
      pool_.erase(it);
    } else {
      block.reset(static_cast<std::byte*>(::operator new(size, kAlign)));
      pool_bytes_ += size;
    }
    slot->grad_base = block.get();
    std::memset(slot->grad_base, 0, slot->bytes);
    live_.emplace(slot->grad_base, std::pair{size, std::move(block)});
  }
  return {slot->grad_base + (x.bytes() - slot->value_base), x.dtype(), x.rows(), x.cols(), x.stride()};
}

void Tape::release(GradSlot& slot) {
  if (slot.grad_base == nullptr) return;
  auto it = live_.find(slot.grad_base);
  pool_.emplace(it->second.first, std::move(it->second.second));
  live_.erase(it);
  slot.grad_base = nullptr;
}

void Tape::backward() {
  if (profile_ != nullptr) lap(last_);
  while (!steps_.empty()) {
    Step step = std::move(steps_.back());
    steps_.pop_back();
    step.back();
    if (profile_ != nullptr) (*profile_)[step.name].backward_s += lap(last_);
    size_t keep = steps_.empty() ? 0 : steps_.back().slots_end;
    while (slots_.size() > keep) {
      release(slots_.back());
      slots_.pop_back();
    }
  }
  clear();
}

void Tape::clear() {
  steps_.clear();
  for (GradSlot& slot : slots_) release(slot);
  slots_.clear();
}

}  // namespace unha
