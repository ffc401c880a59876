/*
 * The talk's machine as counters: a green pod gives 15, each pipeline asks 10 and is not split, so a pod carries one.
 * The HorizontalPodAutoscaler does nothing while usage is within its tolerance. Pods come at once, and nothing is lost.
 *   -DPIPELINES=n  how many are created, one by one, in any order with the other steps
 *   -DAVERAGE=t    what the autoscaler wants a pod to have, in tenths of documents per second
 *   -DTOLERANCE=p  per cent
 */
#define RATE 100 /* tenths of documents per second */

byte created = 0, placed = 0, pods = 2;

active proctype User()
{
	do
	:: created < PIPELINES -> created++
	:: created == PIPELINES -> break
	od
}

active proctype Autoscaler()
{
	do
	:: atomic {
		if
		:: created * RATE * 100 > AVERAGE * pods * (100 + TOLERANCE) -> pods = (created * RATE + AVERAGE - 1) / AVERAGE
		:: else -> skip
		fi
	}
	od
}

/* Retries each second, for ever. */
active proctype Controller()
{
	do
	:: atomic {
		if
		:: placed < created && placed < pods -> placed++
		:: else -> skip
		fi
	}
	od
}

ltl progress { <> (placed == PIPELINES) }
