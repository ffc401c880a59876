/* How a long-running process is told to end: SIGTERM, or SIGINT at a terminal. */
#pragma once

/* Blocks both in this thread and in all that it starts later: call it before the first thread. */
void signals_block(void);

/* Which of them came; waits for one as long as it takes. Call it after signals_block(). */
int signals_wait(void);

/* The same, or 0 when none came within `ms`. */
int signals_wait_ms(int ms);
