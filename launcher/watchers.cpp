#include "launcher/watchers.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "core/io/limited_json.h"
#include "launcher/evaluation.h"

namespace convoy {
namespace {

using nlohmann::json;

std::string no_better_than(Metric metric, const std::optional<double>& best, int64_t evaluations) {
  return std::to_string(evaluations) + (evaluations == 1 ? " evaluation" : " evaluations") + " no better than " +
         (best ? text_of(metric, *best) : "not finite");
}

json or_null(const std::optional<double>& value) { return value ? json(*value) : json(); }

std::optional<double> optional_number(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

}  // namespace

double value_of(Metric metric, const Evaluation& evaluation) {
  return metric == Metric::kLoss ? evaluation.loss : evaluation.accuracy();
}

std::string text_of(Metric metric, double value) {
  char text[64];
  if (metric == Metric::kLoss) {
    std::snprintf(text, sizeof text, "loss %.4f", value);
  } else {
    std::snprintf(text, sizeof text, "top-1 %.2f%%", 100 * value);
  }
  return text;
}

float Watchers::rate(int64_t step, float scheduled) const {
  return plateau && step >= warmup_steps ? static_cast<float>(plateau->learning_rate()) : scheduled;
}

std::vector<Watchers::Notice> Watchers::observe(int64_t step, const Evaluation& evaluation) {
  std::vector<Notice> notices;
  evaluated_step = step;
  if (plateau && step >= warmup_steps) {
    const double before = plateau->learning_rate();
    const int64_t bad = plateau->state().bad + 1;
    if (plateau->observe(value_of(plateau->options().metric, evaluation))) {
      char rates[64];
      std::snprintf(rates, sizeof rates, "learning rate %.4g -> %.4g: ", before, plateau->learning_rate());
      notices.push_back({"plateau", rates + no_better_than(plateau->options().metric, plateau->state().best, bad)});
    }
  }
  if (early_stopping) {
    early_stopping->observe(value_of(early_stopping->options().metric, evaluation));
    const EarlyStopping::State& state = early_stopping->state();
    if (early_stopping->stops()) {
      notices.push_back({"early_stopping", "early stopping: " + no_better_than(early_stopping->options().metric,
                                                                               state.best, state.waited)});
    }
  }
  return notices;
}

std::string Watchers::text() const {
  json out = {{"evaluated_step", evaluated_step}};
  if (plateau) {
    const Plateau::State& state = plateau->state();
    out["plateau"] = {{"metric", plateau->options().metric},
                      {"learning_rate", state.learning_rate},
                      {"of", learning_rate},
                      {"best", or_null(state.best)},
                      {"bad", state.bad},
                      {"cooldown", state.cooldown}};
  }
  if (early_stopping) {
    const EarlyStopping::State& state = early_stopping->state();
    out["early_stopping"] = {
        {"metric", early_stopping->options().metric}, {"best", or_null(state.best)}, {"waited", state.waited}};
  }
  return out.dump();
}

void Watchers::restore(const std::string& text, const std::string& source) {
  const json saved = parse_limited_json(text, source);
  try {
    evaluated_step = saved.at("evaluated_step").get<int64_t>();
    // The state of another metric means nothing.
    const auto state_of = [&](const char* name, Metric metric) -> const json* {
      const auto found = saved.find(name);
      return found != saved.end() && found->at("metric").get<Metric>() == metric ? &*found : nullptr;
    };
    const json* state = plateau ? state_of("plateau", plateau->options().metric) : nullptr;
    if (state != nullptr) {
      const auto saved_rate = state->at("learning_rate").get<double>(), of = state->at("of").get<double>();
      const double rate = of == learning_rate ? saved_rate : saved_rate / of * learning_rate;  // it was changed
      plateau->set_state({rate, optional_number(state->at("best")), state->at("bad").get<int64_t>(),
                          state->at("cooldown").get<int64_t>()});
    }
    state = early_stopping ? state_of("early_stopping", early_stopping->options().metric) : nullptr;
    if (state != nullptr) {
      early_stopping->set_state({optional_number(state->at("best")), state->at("waited").get<int64_t>()});
    }
  } catch (const json::exception& error) {
    bad_data(source, std::string("state of the evaluations: ") + error.what());
  }
}

}  // namespace convoy
