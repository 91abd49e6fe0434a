/* json_out.h  JSON on standard output, for the commands that have --json. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

/** A string with its quotes; invalid UTF-8 becomes '?'. */
void json_out_text(const char *text);
/** "name":"text" with a comma before it unless *first, which becomes 0. */
void json_out_member(int *first, const char *name, const char *text);
/** "name":number; `decimals` after the point; numbers < 0 become null (not known). */
void json_out_number(int *first, const char *name, double value, int decimals);

#endif
