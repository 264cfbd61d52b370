// SPDX-License-Identifier: BSD-3-Clause
#include "crash/explorer.h"

#include "crash/concurrent.h"
#include "crash/fields.h"
#include "crash/format_run.h"
#include "crash/orders_expectation.h"
#include "crash/rules.h"

#include <algorithm>

namespace daxpin::crash {

using test::Event;
using test::PersistenceModel;

namespace {

std::vector<PersistenceModel> models_of(const std::vector<test::SimOptions> &options,
                                        const std::vector<Bytes> &images) {
    std::vector<PersistenceModel> models;
    for (std::size_t i = 0; i < images.size(); ++i)
        models.emplace_back(options[i].domain, images[i]);
    return models;
}

// Brings what became durable into the reference of the scratch media.
void advance(std::vector<PersistenceModel> &models, Scratch &scratch) {
    for (unsigned device = 0; device < models.size(); ++device) {
        PersistenceModel &model = models[device];
        for (const std::uint64_t unit : model.take_changed())
            scratch.advance(device, unit, model.durable().subspan(unit, model.unit_bytes()));
    }
}

// A media error comes, or goes, at once and for good.
void pass_poison(Scratch &scratch, const Event &event) {
    if (event.kind == Event::Kind::poison)
        scratch.poison(event.device, {event.offset, event.data});
}

bool is_acknowledgement(const Event &event) {
    return event.kind == Event::Kind::mark && event.offset != mounted_mark && event.offset % 2 == 0;
}

// How many steps of the setup all branches have.
std::size_t common_steps(const std::vector<Workload> &branches) {
    const auto &first = branches[0].setup;
    std::size_t common = first.size();
    for (const Workload &branch : branches) {
        const auto end =
            std::mismatch(first.begin(), first.end(), branch.setup.begin(), branch.setup.end());
        common = std::min(common, static_cast<std::size_t>(end.first - first.begin()));
    }
    return branches.size() > 1 ? common : 0;
}

} // namespace

Explorer::Explorer(const Image &image, const Plan &plan, Counters &counters, Listener listener)
    : image_(image), plan_(plan), counters_(counters), listener_(std::move(listener)) {}

bool Explorer::wanted(const Token &token) const {
    return !only_ || (token.moment == only_->moment && token.event == only_->event);
}

Token Explorer::token_of(char moment, std::uint64_t event, std::uint64_t state) const {
    return {plan_.seed, workload_->name, to_string(image_), moment, event, state, {}};
}

bool Explorer::announce(const Token &token) {
    stopped_ = stopped_ || !listener_.announce(token);
    return !stopped();
}

void Explorer::judge(const Token &token, const std::string &text) {
    if (text.empty())
        return;
    ++counters_.violations;
    listener_.report(token, text);
}

std::vector<std::uint64_t> Explorer::run(const std::vector<Workload> &branches,
                                         const std::optional<Token> &only) {
    only_ = only;
    std::vector<std::uint64_t> states;
    const std::size_t common = common_steps(branches);
    for (const Workload &branch : branches) {
        if (only && branch.name != only->workload)
            continue;
        const std::uint64_t before = counters_.states;
        workload_ = &branch;
        ++counters_.workloads;
        if (!announce(token_of('R', 0, 0)))
            return {};
        try {
            run_branch(branch, common);
        } catch (const Problem &problem) {
            judge(token_of('R', 0, 0), problem.text);
        }
        if (stopped_)
            return {};
        states.push_back(counters_.states - before);
    }
    return states;
}

void Explorer::run_branch(const Workload &branch, std::size_t common_steps) {
    visited_ = 0;
    prepare(branch);
    if (!trunk_fits())
        prepare_trunk(common_steps);
    if (verifier_)
        verifier_->look_at(branch, recording_, *expectation_);
    explore_stores();
    explore_drains();
    trunk_.stores->rollback();
    trunk_.drains->rollback();
}

// Records what is to be crashed and says how its states are judged.
void Explorer::prepare(const Workload &branch) {
    if (branch.name == format_workload) {
        recording_ = record_format(image_, plan_.seed);
        check_ = [this](Scratch &scratch, const Position &position) {
            ++counters_.states;
            return check_format(scratch, recording_, position);
        };
        return;
    }
    const bool threads = !branch.threads.empty();
    recording_ =
        threads ? record_threads(branch, image_, plan_.seed) : record(branch, image_, plan_.seed);
    if (!plan_.drop_field.empty())
        counters_.dropped_bytes += drop_field(recording_, plan_.drop_field);
    if (threads) {
        judge(token_of('R', 0, 0), check_run(recording_, branch, image_, plan_.seed));
        expectation_ = std::make_unique<OrdersExpectation>(recording_, plan_.seed);
    } else {
        expectation_ = std::make_unique<StepsExpectation>(recording_);
    }
    check_ = [this](Scratch &scratch, const Position &position) {
        return verifier_->check(scratch, position);
    };
}

// ---- the trunk ----------------------------------------------------------------------------------

namespace {

bool is_same(const test::Trace &one, const Event &a, const test::Trace &other, const Event &b) {
    if (a.kind != b.kind || a.device != b.device || a.offset != b.offset || a.length != b.length)
        return false;
    if (a.kind != Event::Kind::store)
        return a.data == b.data;
    const auto left = one.stored(a), right = other.stored(b);
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

} // namespace

// The branch has the image and the first events of the trunk: so it is if its start does not
// depend on what follows, as that of a full volume does.
bool Explorer::trunk_fits() const {
    const auto &events = recording_.trace.events;
    if (trunk_.initial != recording_.initial || trunk_.trace.events.size() > events.size())
        return false;
    for (std::size_t i = 0; i < trunk_.trace.events.size(); ++i) {
        if (!is_same(trunk_.trace, trunk_.trace.events[i], recording_.trace, events[i]))
            return false;
    }
    return true;
}

// The first step that is not common, or whose crash points are explored, ends the trunk.
void Explorer::prepare_trunk(std::size_t common_steps) {
    const auto &steps = recording_.steps;
    std::size_t step = 0;
    while (step < common_steps && step < steps.size() && !steps[step].crashed)
        ++step;
    trunk_.initial = recording_.initial;
    trunk_.stores = std::make_unique<Scratch>(recording_.options, recording_.initial);
    trunk_.drains = std::make_unique<Scratch>(recording_.options, recording_.initial);
    trunk_.models = models_of(recording_.options, recording_.initial);
    trunk_.trace = {};
    const auto &events = recording_.trace.events;
    for (const Event &event : events) {
        if (step == 0 || (event.kind == Event::Kind::mark && event.offset == begin_mark(step)))
            break;
        trunk_.trace.events.push_back(event);
        feed(trunk_.models, recording_.trace, event);
        if (event.kind == Event::Kind::store)
            trunk_.stores->advance(event.device, event.offset, recording_.trace.stored(event));
        advance(trunk_.models, *trunk_.drains);
        for (Scratch *scratch : {trunk_.stores.get(), trunk_.drains.get()})
            pass_poison(*scratch, event);
    }
    trunk_.trace.bytes = recording_.trace.bytes;
    trunk_.stores->mark();
    trunk_.drains->mark();
    verifier_.reset();
    if (workload_->name != format_workload)
        verifier_ = std::make_unique<Verifier>(image_, plan_.seed, counters_);
}

// ---- one state ----------------------------------------------------------------------------------

void Explorer::visit(Scratch &scratch, const Position &position, const Token &token) {
    if (stopped() || !announce(token))
        return;
    const bool nested = verifier_ && plan_.nested_every > 0 && visited_++ % plan_.nested_every == 0;
    if (only_ ? only_->nested.has_value() : nested)
        crash_recovery(scratch, position, token);
    if (only_ && only_->nested)
        return;
    judge(token, check_(scratch, position));
}

// ---- mode L -------------------------------------------------------------------------------------

// Long stores tear at the edge of any word; here after the first word, in the middle, before the
// last word and at the first line's edge. `state` is the number of bytes that were stored.
void Explorer::crash_inside_store(Scratch &scratch, const Event &event, std::size_t index,
                                  const Position &position) {
    const auto bytes = recording_.trace.stored(event);
    const std::uint64_t end = event.offset + bytes.size();
    std::set<std::uint64_t> edges{event.offset / 8 * 8 + 8, (event.offset + end) / 16 * 8,
                                  (end - 1) / 8 * 8};
    if (bytes.size() > 128)
        edges.insert(event.offset / 64 * 64 + 64);
    for (const std::uint64_t edge : edges) {
        if (edge <= event.offset || edge >= end)
            continue;
        const std::uint64_t stored = edge - event.offset;
        if (only_ && only_->state != stored)
            continue;
        ++counters_.crash_points;
        scratch.write(event.device, event.offset, bytes.first(stored));
        visit(scratch, position, token_of('L', index, stored));
        scratch.restore();
    }
}

void Explorer::explore_stores() {
    Scratch &scratch = *trunk_.stores;
    Position position = Position::first(recording_);
    const auto &events = recording_.trace.events;
    for (std::size_t index = 0; index < events.size() && !stopped(); ++index) {
        const Event &event = events[index];
        if (event.kind == Event::Kind::mark)
            position.pass(recording_, event.offset);
        if (index < trunk_.trace.events.size())
            continue;
        pass_poison(scratch, event);
        if (event.kind != Event::Kind::store)
            continue;
        const Token token = token_of('L', index, 0);
        const bool chosen = only_ || index % plan_.stores_every == 0;
        const bool here = position.crashed && chosen && wanted(token);
        if (here && event.length > 8)
            crash_inside_store(scratch, event, index, position);
        scratch.advance(event.device, event.offset, recording_.trace.stored(event));
        if (!here || (only_ && only_->state != 0))
            continue;
        ++counters_.crash_points;
        visit(scratch, position, token);
        scratch.restore();
    }
}

// ---- mode P -------------------------------------------------------------------------------------

void Explorer::visit_point(const std::vector<PersistenceModel> &models, Scratch &scratch,
                           const Position &position, std::size_t event, char moment) {
    Token token = token_of(moment, event, 0);
    if (!position.crashed || !wanted(token) || stopped())
        return;
    ++counters_.crash_points;
    StateBudget budget = plan_.states;
    if (moment == 'A') // a part of what comes before the next drain
        budget = plan_.nested_states;
    const auto only = only_ ? std::optional(only_->state) : std::nullopt;
    for_each_state(models, scratch, budget, plan_.seed * 1000003 + event, only,
                   [&](std::uint64_t state) {
                       token.state = state;
                       visit(scratch, position, token);
                   });
}

void Explorer::check_rules(const std::vector<PersistenceModel> &models, const Event &event,
                           const Position &position, std::size_t index) {
    const Token token = token_of('R', index, 0);
    if (!position.crashed || !verifier_)
        return;
    if (is_acknowledgement(event) && position.in_flight == 0) {
        ++counters_.acknowledgements;
        judge(token, check_acknowledged(models, recording_.superblock));
    }
    if (event.kind == Event::Kind::store && event.device == 0)
        judge(token, check_tail_store(models, recording_.superblock, event.offset,
                                      recording_.trace.stored(event)));
}

void Explorer::explore_drains() {
    Scratch &scratch = *trunk_.drains;
    auto models = trunk_.models;
    Position position = Position::first(recording_);
    const auto &events = recording_.trace.events;
    for (std::size_t index = 0; index < events.size() && !stopped(); ++index) {
        const Event &event = events[index];
        if (event.kind == Event::Kind::mark)
            position.pass(recording_, event.offset);
        if (index < trunk_.trace.events.size())
            continue;
        pass_poison(scratch, event);
        check_rules(models, event, position, index);
        if (event.kind == Event::Kind::drain)
            visit_point(models, scratch, position, index, 'B');
        feed(models, recording_.trace, event);
        advance(models, scratch);
        if (event.kind == Event::Kind::drain)
            visit_point(models, scratch, position, index, 'A');
        if (is_acknowledgement(event))
            visit_point(models, scratch, position, index, 'K');
    }
    if (models.size() == 1) { // with several devices every drain goes to all of them
        const PersistenceModel &trunk = trunk_.models[0];
        counters_.redundant_flushes += models[0].redundant_flushes() - trunk.redundant_flushes();
        counters_.repeated_flushes += models[0].repeated_flushes() - trunk.repeated_flushes();
        counters_.redundant_drains += models[0].redundant_drains() - trunk.redundant_drains();
    }
}

// ---- crashes of a recovery ----------------------------------------------------------------------

void Explorer::crash_recovery(Scratch &scratch, const Position &position, const Token &token) {
    std::vector<Bytes> images;
    MediaList copies;
    for (const auto &media : scratch.media()) {
        copies.push_back(media->clone());
        copies.back()->heal_on_rewrite(true);
        images.emplace_back(copies.back()->bytes().begin(), copies.back()->bytes().end());
    }
    test::Trace trace;
    {
        test::TraceRecorder recorder(copies);
        for (std::size_t i = 0; i < copies.size(); ++i) {
            const auto poison = scratch.media()[i]->poison();
            if (poison.length > 0)
                copies[i]->poison(poison.offset, poison.length);
        }
        test::TestEnv env(plan_.seed + 1000);
        env.set_boot(position.leasing(recording_).boot);
        const auto volume = volume::Volume::open(test::open_table(copies), env, mount_options());
        trace = recorder.trace(); // without the unmount
    }
    explore_recovery(trace, images, position, token);
}

void Explorer::explore_recovery(const test::Trace &trace, const std::vector<Bytes> &images,
                                const Position &position, const Token &token) {
    Scratch scratch(recording_.options, images);
    auto models = models_of(recording_.options, images);
    for (std::size_t index = 0; index < trace.events.size(); ++index) {
        const Event &event = trace.events[index];
        pass_poison(scratch, event);
        const bool here = event.kind == Event::Kind::drain && event.device == 0 && !stopped() &&
                          (!only_ || only_->nested->event == index);
        const auto only = only_ ? std::optional(only_->nested->state) : std::nullopt;
        if (here)
            for_each_state(models, scratch, plan_.nested_states,
                           plan_.seed * 1000003 + token.event * 31 + index, only,
                           [&](std::uint64_t state) {
                               Token nested = token;
                               nested.nested = Token::Nested{index, state};
                               if (!announce(nested))
                                   return;
                               ++counters_.nested_states;
                               judge(nested, check_(scratch, position));
                           });
        feed(models, trace, event);
        advance(models, scratch);
    }
}

} // namespace daxpin::crash
