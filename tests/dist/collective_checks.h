// What every communicator must do, whatever it is made of, with memory of `device`.  Each function is called by all
// ranks.
// Inputs are small integers, so that sums are exact in every dtype and are compared with ==.
#pragma once

#include "dist/communicator.h"

namespace convoy {

void check_memory(Communicator& communicator, Device& device);
void check_all_reduce(Communicator& communicator, Device& device);
void check_reduce_scatter_and_all_gather(Communicator& communicator, Device& device);
void check_broadcast(Communicator& communicator, Device& device);
void check_many_in_flight_with_delays(Communicator& communicator, Device& device);
// Each sum is there when its own event says so, whatever comes behind; what they cost is said in their order.
void check_events(Communicator& communicator, Device& device);
void check_replicas_bitwise_equal(Communicator& communicator, Device& device);
// Sums of arbitrary numbers equal those of a loop over the ranks from 0, bit for bit; of bf16, rounded once.
void check_sum_in_rank_order(Communicator& communicator, Device& device);
void check_host_collectives(Communicator& communicator, Device& device);

void check_everything(Communicator& communicator, Device& device);  // but the order of the sum

}  // namespace convoy
