// input `a` of branches
module branches_a (
  input  wire [35:0] in_a,
  output wire [35:0] result);

  wire [5:0] x0 = in_a[5:0];
  wire [5:0] x1 = in_a[11:6];
  wire [5:0] x2 = in_a[17:12];
  wire [5:0] x3 = in_a[23:18];
  wire [5:0] x4 = in_a[29:24];
  wire [5:0] x5 = in_a[35:30];
  assign result = {x5, x4, x3, x2, x1, x0};

endmodule
