/*
 * Our machine: two classes of three pods, three pipelines. A pod carries one share; pipeline 0 needs two pods of A and
 * one of B, pipeline 1 one of A and two of B, pipeline 2 one of each: any two fit together, three never do.
 * Two replicas read the ledger, decide on all that is to be decided, and commit by compare-and-swap. Effects
 * (endpoints) travel through a buffer per replica that delays and may lose them. A replica crashes and comes back or does
 * not; pods come late or never; one is lost or must be emptied.
 *
 * Pods of a class are alike, so they are counted: used[c] are charged in the ledger, idle[c] run and are free, and of what
 * pipeline i is charged in class c missing(i, c) do not run. STALE stands for "the ledger is not the version that was
 * read". A decision depends on nothing but the ledger and the pods: as the ledger is the one that was read, it is
 * computed when it is committed; what happens to pods in between is as if it happened right after.
 *
 *   -DWHICH=n     whose progress is looked at
 *   -DCALM        pods do come, deadlines pass at most twice: then two pipelines end up Ready
 *   -DBUFFERS=n   one message under way for each replica, or one for both
 *   -DTROUBLES=n  pods that are lost or must be emptied; -DCRASHES=n -DLOSSES=n: of replicas, of messages
 * Planted faults: NO_CAS, NO_FENCE, NO_DEADLINE, NO_GANG, NO_MAKE_BEFORE_BREAK, NO_REPLAY, NO_REPAIR, NO_RETRY.
 */
#ifndef WHICH
#define WHICH 0
#endif
#ifndef TROUBLES
#define TROUBLES 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef BUFFERS
#define BUFFERS 2
#endif
#define PODS 3
#define PIPELINES 3

#define WAITS 0   /* holds nothing, to be decided on */
#define SCALING 1 /* holds all it needs, some does not run yet: has a deadline */
#define OVERDUE 2 /* the deadline has passed */
#define PLACED 3  /* all runs, effects are under way */
#define READY 4
#define REFUSED 5 /* holds nothing, says why, will be tried again */
#define LACKS 6   /* serves in part or must leave a pod, says why, will be tried again */
#define HURT 7    /* the same, its time has come */
#define HALF 8    /* with NO_GANG: holds one class and waits for the other */

#define IDLE 0
#define DECIDED 1
#define STALE 2

byte phase[PIPELINES], miss[2 * PIPELINES], used[2], idle[2] = { 2, 1 };
byte drains[PIPELINES]; /* class + 1: a pod of it must be left; class + 3: and another is charged in its place */
bool served[PIPELINES]; /* has endpoints */
byte mind[2];
bool old[BUFFERS]; /* the message in that buffer belongs to a decision that was replaced */
byte troubles = 0, crashes = 0, losses = 0, expired = 0;
chan effects[BUFFERS] = [1] of { byte };

#define me _pid /* of replicas: 0 and 1 */
#define need(i, c) ((i) == (c) -> 2 : 1)
#define missing(i, c) miss[2 * (i) + (c)]
#define whole(i) (missing(i, 0) == 0 && missing(i, 1) == 0)
#define live(i, c) (need(i, c) + (drains[i] == (c) + 3) - missing(i, c))
#define holds(i) (phase[i] != WAITS && phase[i] != REFUSED && phase[i] != HALF)

/* What it would be charged beyond what it is. */
#define must_leave(i, c) ((phase[i] == READY || phase[i] == HURT) && drains[i] == (c) + 1)
#define asks(i, c) ((phase[i] == WAITS -> need(i, c) : (phase[i] == HURT -> missing(i, c) : 0)) + must_leave(i, c))
#ifdef NO_REPAIR
#define broken(i) false
#else
#define broken(i) ((phase[i] == PLACED || phase[i] == READY) && !whole(i))
#endif
#define undecided(i) (phase[i] == WAITS || phase[i] == HURT || phase[i] == OVERDUE || phase[i] == HALF || \
	(phase[i] == SCALING && whole(i)) || broken(i) || (phase[i] == READY && drains[i] != 0))
#define anything_undecided (undecided(0) || undecided(1) || undecided(2))
#define fits(i) (used[0] + asks(i, 0) <= PODS && used[1] + asks(i, 1) <= PODS)

#ifdef NO_CAS
bool granted[2 * PIPELINES]; /* what was decided must be remembered, for the ledger may be another by then */
#endif
#ifdef NO_REPLAY
bool sent[PIPELINES];
#endif

/* Pods that run and are free come first. */
inline fill(i, c)
{
	do
	:: missing(i, c) > 0 && idle[c] > 0 -> missing(i, c)--; idle[c]--
	:: else -> break
	od
}

inline settle(i)
{
	fill(i, 0);
	fill(i, 1);
	phase[i] = (whole(i) -> PLACED : SCALING)
}

inline charge(i, c)
{
	used[c] = used[c] + asks(i, c);
	assert(used[c] <= PODS) /* no overcommit */
}

/* All stages or none. */
inline grant(i)
{
	charge(i, 0);
	charge(i, 1);
	if
	:: phase[i] == WAITS -> missing(i, 0) = need(i, 0); missing(i, 1) = need(i, 1)
	:: drains[i] == 1 || drains[i] == 2 ->
#ifndef NO_MAKE_BEFORE_BREAK
		drains[i] = drains[i] + 2; missing(i, drains[i] - 3)++
#else
		used[drains[i] - 1]--; missing(i, drains[i] - 1)++; drains[i] = 0
#endif
	:: else -> skip
	fi;
	settle(i)
}

inline refuse(i)
{
	if
	:: phase[i] == WAITS -> phase[i] = REFUSED
	:: else -> phase[i] = LACKS
	fi
}

/* The deadline has passed: what never ran gives all back, what serves keeps what serves. */
inline give_back(i)
{
	if
	:: served[i] ->
		used[0] = used[0] - missing(i, 0);
		used[1] = used[1] - missing(i, 1);
		if
		:: drains[i] > 2 && missing(i, drains[i] - 3) > 0 -> drains[i] = drains[i] - 2; missing(i, drains[i] - 1)--
		:: else -> skip
		fi;
		phase[i] = LACKS
	:: else ->
		used[0] = used[0] - need(i, 0);
		used[1] = used[1] - need(i, 1);
		idle[0] = idle[0] + need(i, 0) - missing(i, 0);
		idle[1] = idle[1] + need(i, 1) - missing(i, 1);
		missing(i, 0) = 0;
		missing(i, 1) = 0;
		phase[i] = REFUSED
	fi
}

#ifdef NO_CAS
/* was: what those before it ask */
inline remember(i)
{
	granted[PIPELINES * me + i] = used[0] + was[0] + asks(i, 0) <= PODS && used[1] + was[1] + asks(i, 1) <= PODS;
	was[0] = was[0] + (granted[PIPELINES * me + i] -> asks(i, 0) : 0);
	was[1] = was[1] + (granted[PIPELINES * me + i] -> asks(i, 1) : 0)
}

#define is_granted(i) granted[PIPELINES * me + i]
#else
#define is_granted(i) fits(i)
#endif

/* With NO_GANG: one class now (0 begins with A, the others with B), the other one in a later decision. */
inline decide_by_halves(i)
{
	k = (i == 0 -> 0 : 1);
	if
	:: phase[i] == WAITS && used[k] + need(i, k) <= PODS -> used[k] = used[k] + need(i, k); phase[i] = HALF
	:: phase[i] == WAITS && used[k] + need(i, k) > PODS -> phase[i] = REFUSED
	:: phase[i] == HALF && used[1 - k] + need(i, 1 - k) <= PODS ->
		used[1 - k] = used[1 - k] + need(i, 1 - k);
		missing(i, 0) = need(i, 0);
		missing(i, 1) = need(i, 1);
		settle(i)
	:: else -> skip
	fi;
	k = 0
}

inline decide(i)
{
	d_step {
	was[0] = live(i, 0);
	was[1] = live(i, 1);
#ifndef NO_REPLAY
	skip
#else
	sent[i] = sent[i] && !undecided(i)
#endif
	;
	if /* what was sent belongs to the decision before */
	:: undecided(i) && effects[0] ?? [eval(i)] -> old[0] = true
	:: else -> skip
	fi;
#if BUFFERS > 1
	if
	:: undecided(i) && effects[1] ?? [eval(i)] -> old[1] = true
	:: else -> skip
	fi;
#endif
	if
#ifdef NO_GANG
	:: phase[i] == WAITS || phase[i] == HALF -> decide_by_halves(i)
#endif
	:: phase[i] == OVERDUE && !whole(i) -> give_back(i)
	:: (phase[i] == SCALING || phase[i] == OVERDUE) && whole(i) -> phase[i] = PLACED
	:: broken(i) -> settle(i) /* only what was lost moves */
	:: phase[i] == READY && whole(i) && drains[i] > 2 -> used[drains[i] - 3]--; drains[i] = 0 /* the new one serves */
	:: (phase[i] == WAITS || phase[i] == HURT || (phase[i] == READY && whole(i) && (drains[i] == 1 || drains[i] == 2))) ->
		if
		:: is_granted(i) -> grant(i)
		:: else -> refuse(i)
		fi
	:: else -> skip
	fi;
	/* no decision takes from one that serves what it needs */
	assert(!served[i] || live(i, 0) >= (was[0] < need(i, 0) -> was[0] : need(i, 0)));
	assert(!served[i] || live(i, 1) >= (was[1] < need(i, 1) -> was[1] : need(i, 1)));
	was[0] = 0;
	was[1] = 0
	}
}

#define mine (me % BUFFERS)
#ifndef NO_REPLAY
#define to_send(i) (phase[i] == PLACED && whole(i))
#else
#define to_send(i) (phase[i] == PLACED && whole(i) && !sent[i])
#endif
#define may_send (len(effects[mine]) == 0 && (to_send(0) || to_send(1) || to_send(2)))

/* First what is decided, then new decisions: else pipelines that are tried again for ever would hold up the others. */
active [2] proctype Replica()
{
	byte k = 0;
	byte was[2];
	do
	:: atomic { mind[me] == IDLE && anything_undecided && !may_send ->
#ifdef NO_CAS
		remember(0);
		remember(1);
		remember(2);
		was[0] = 0;
		was[1] = 0;
#endif
		mind[me] = DECIDED }
	:: atomic { mind[me] == DECIDED -> decide(0); decide(1); decide(2); mind[me] = IDLE;
#ifndef NO_CAS
		mind[1 - me] = (mind[1 - me] == IDLE -> IDLE : STALE)
#endif
		}
	:: atomic { mind[me] == STALE -> mind[me] = IDLE } /* refused: read again */
	:: atomic { mind[me] != IDLE && crashes < CRASHES -> crashes++; mind[me] = IDLE }
	:: atomic { mind[me] != IDLE && crashes < CRASHES -> crashes++; mind[me] = IDLE; break } /* for good */
	:: atomic { mind[me] == IDLE && may_send ->
		k = (to_send(0) -> 0 : (to_send(1) -> 1 : 2));
#ifdef NO_REPLAY
		sent[k] = true;
#endif
		effects[mine] ! k; k = 0 }
	od
}

/* The API server: takes a write only if it belongs to the decision that stands. */
inline take(r)
{
	effects[r] ? i;
	if
#ifdef NO_FENCE
	:: phase[i] == PLACED ->
#else
	:: phase[i] == PLACED && !old[r] ->
#endif
		assert(!old[r]); /* who is Ready has the endpoints of the decision that stands */
		phase[i] = READY;
		served[i] = true
	:: else -> skip
	fi;
	old[r] = false;
	i = 0
}

active proctype Server()
{
	byte i = 0;
	do
	:: atomic { nempty(effects[0]) -> take(0) }
	:: atomic { losses < LOSSES && nempty(effects[0]) -> effects[0] ? i; losses++; old[0] = false; i = 0 }
#if BUFFERS > 1
	:: atomic { nempty(effects[1]) -> take(1) }
	:: atomic { losses < LOSSES && nempty(effects[1]) -> effects[1] ? i; losses++; old[1] = false; i = 0 }
#endif
	od
}

#define comes(i, c) (missing(i, c) > 0 && (phase[i] == SCALING || phase[i] == OVERDUE))
#define bring(i, c) atomic { comes(i, c) -> missing(i, c)-- }
#define lose(i, c) atomic { troubles < TROUBLES && holds(i) && live(i, c) > (drains[i] == c + 1 || drains[i] == c + 3) -> \
		troubles++; missing(i, c)++; used[c] = used[c] - (phase[i] == LACKS || phase[i] == HURT) }
#define empty_one(i, c) atomic { troubles < TROUBLES && phase[i] == READY && drains[i] == 0 -> troubles++; drains[i] = c + 1 }

#define may_retry(i) (phase[i] == REFUSED || phase[i] == LACKS)
#define retry(i) phase[i] = (phase[i] == LACKS -> HURT : (phase[i] == REFUSED -> WAITS : phase[i]))
#ifdef NO_RETRY
#define time_comes(i) atomic { false -> skip }
#else
#define time_comes(i) atomic { may_retry(i) -> retry(i) }
#endif

/* Pods; and the clock, as far as others than WHICH are concerned: what it does not do in time, it may do never. */
active proctype World()
{
	bool later = false;
	do
	:: bring(0, 0)
	:: bring(0, 1)
	:: bring(1, 0)
	:: bring(1, 1)
	:: bring(2, 0)
	:: bring(2, 1)
	:: lose(0, 0)
	:: lose(0, 1)
	:: lose(1, 0)
	:: lose(1, 1)
	:: lose(2, 0)
	:: lose(2, 1)
	:: atomic { troubles < TROUBLES && idle[0] > 0 -> troubles++; idle[0]-- }
	:: atomic { troubles < TROUBLES && idle[1] > 0 -> troubles++; idle[1]-- }
#ifndef CALM
	:: empty_one(0, 0)
	:: empty_one(0, 1)
	:: empty_one(1, 0)
	:: empty_one(1, 1)
	:: empty_one(2, 0)
	:: empty_one(2, 1)
	:: atomic { later = true; later = false } /* not now */
#ifndef NO_DEADLINE
	:: atomic { phase[0] == SCALING -> phase[0] = OVERDUE }
	:: atomic { phase[1] == SCALING -> phase[1] = OVERDUE }
	:: atomic { phase[2] == SCALING -> phase[2] = OVERDUE }
#endif
	:: time_comes(0)
	:: time_comes(1)
	:: time_comes(2)
#endif
	od
}

/* The deadline of WHICH passes for certain; and the time to try again comes for all. */
active proctype Clock()
{
	bool ticks = false;
	do
	:: else -> atomic { ticks = true; ticks = false } /* lest a run ends */
#ifdef CALM
	:: atomic { phase[0] == SCALING && expired < 2 -> expired++; phase[0] = OVERDUE }
	:: atomic { phase[1] == SCALING && expired < 2 -> expired++; phase[1] = OVERDUE }
	:: atomic { phase[2] == SCALING && expired < 2 -> expired++; phase[2] = OVERDUE }
#endif
#if !defined(NO_DEADLINE) && !defined(CALM)
	:: atomic { phase[WHICH] == SCALING -> phase[WHICH] = OVERDUE }
#endif
#if defined(CALM) && !defined(NO_RETRY)
	:: atomic { may_retry(0) || may_retry(1) || may_retry(2) -> retry(0); retry(1); retry(2) }
#endif
	od
}

#define is_ready(i) (phase[i] == READY && whole(i) && drains[i] == 0)

/* Whatever happens: again and again it runs or says why it does not. */
ltl progress { []<> (is_ready(WHICH) || phase[WHICH] == REFUSED || phase[WHICH] == LACKS) }
/* When pods come: as many as fit run in the end. */
ltl settles { <>[] (is_ready(0) + is_ready(1) + is_ready(2) == 2) }
