// What every communicator must do, whatever it is made of.  Each function is called by all ranks.
// Inputs are small integers, so that sums are exact in every dtype and are compared with ==.
#pragma once

#include "dist/communicator.h"

namespace convoy {

void check_memory(Communicator& communicator);
void check_all_reduce(Communicator& communicator);
void check_reduce_scatter_and_all_gather(Communicator& communicator);
void check_broadcast(Communicator& communicator);
void check_many_in_flight_with_delays(Communicator& communicator);
void check_replicas_bitwise_equal(Communicator& communicator);
// Sums of arbitrary numbers equal those of a loop over the ranks from 0, bit for bit; of bf16, rounded once.
void check_sum_in_rank_order(Communicator& communicator);
void check_host_collectives(Communicator& communicator);

void check_everything(Communicator& communicator);  // but the order of the sum

}  // namespace convoy
